package doctor

import (
	"fmt"
	"strings"

	"github.com/etcd-drill/etcd-drill/internal/kernel"
)

func roomFindings(r Room, local bool) []Finding {
	disk := Finding{
		What: "free disk", State: Yes, Means: "enough for a default drill",
		Seen: fmt.Sprintf("%s in %s; a default drill takes up to %s", mebibytes(r.DiskFreeBytes), r.Dir, mebibytes(r.DiskNeedBytes)),
	}
	if r.DiskFreeBytes < r.DiskNeedBytes {
		disk.State, disk.Fatal, disk.Means = No, true, "no default drill can run"
		disk.Do = "free some, name a folder on another file system with --out, or rehearse with fewer --members or --keys"
	}
	memory := Finding{
		What: "free memory", State: Yes, Means: "enough for a default drill",
		Seen: fmt.Sprintf("%s on this machine; a default drill takes up to %s", mebibytes(r.MemoryFreeBytes), mebibytes(r.MemoryNeedBytes)),
	}
	if r.MemoryFreeBytes < r.MemoryNeedBytes {
		memory.State, memory.Means = No, "members in containers take that of the engine's machine, which is not known here"
		memory.Do = "free some, or rehearse with fewer --members or --keys"
		if local {
			memory.Fatal, memory.Means = true, "no default drill can run: the kernel would end members for want of it"
		}
	}
	return []Finding{disk, memory}
}

func mebibytes(n uint64) string { return fmt.Sprintf("%d MiB", n>>20) }

// uses tells what an ability of the kernel is for. No fault of this version needs one of them: members are killed, stopped,
// frozen and wiped by the runtime.
func uses() map[string]string {
	const none = "; no fault of this version needs it"
	return map[string]string{
		kernel.Namespaces: "throw-away places, in which the lines below were tried",
		kernel.Nftables:   "cutting members off from each other" + none,
		kernel.Netem:      "slow and lossy networks" + none,
		kernel.TBF:        "narrow networks" + none,
		kernel.FUSE:       "disks that fail on demand" + none,
		kernel.Cgroup:     "limits on a member's memory and processors" + none,
		kernel.Tmpfs:      "disks that fill up" + none,
		kernel.Loop:       "disks that are files" + none,
	}
}

// kernelFindings are about this machine. Where the engine is on another one, members live with that one's kernel.
func kernelFindings(trials []kernel.Trial) []Finding {
	var findings []Finding
	for _, trial := range trials {
		f := Finding{What: trial.Name, Seen: trial.Text, Means: uses()[trial.Name]}
		switch trial.State {
		case kernel.Able:
			f.State = Yes
		case kernel.Denied:
			f.State, f.Do = No, "only root may; nothing to do unless a fault asks for it"
		case kernel.Unable:
			f.State, f.Do = No, "nothing to do unless a fault asks for it; another kernel may have it"
		default:
			f.State = Unknown
		}
		findings = append(findings, f)
	}
	return findings
}

func deadFinding(dead []string) Finding {
	f := Finding{What: "no leftovers", State: Yes, Seen: "no dead run has left anything", Means: "nothing to clean"}
	if n := len(dead); n > 0 {
		f.State = No
		f.Seen = fmt.Sprintf("%d dead runs were not cleaned up after: %s", n, strings.Join(dead, " "))
		f.Means, f.Do = "they take room; the next drill on the same runtime removes them", "etcd-drill clean"
	}
	return f
}
