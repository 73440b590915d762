package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/etcd-drill/etcd-drill/recovery/intake"
)

// ownFlags name a backup of the user's own, to be drilled by itself.
type ownFlags struct {
	own drill.Own
	livingFlags
	maxUnpacked byteSize
	canaryAge   time.Duration
	redact      string
}

func (o *ownFlags) add(flags *pflag.FlagSet) {
	o.maxUnpacked = byteSize(intake.DefaultMaxBytes)
	flags.StringVar(&o.own.File, "snapshot", "",
		"drill this backup of yours: a snapshot, db copy or data directory, also packed; - for standard input")
	flags.StringVar(&o.own.Expect, "expect", "",
		"with --snapshot: refuse a backup that is not the one of this manifest (etcd-drill manifest)")
	flags.StringVar(&o.own.Canary, "canary", "",
		"with --snapshot: a key under which somebody writes the time, in RFC 3339 or seconds since 1970")
	flags.DurationVar(&o.canaryAge, "canary-max-age", 0,
		"with --canary: fail if that time is longer ago than this (default: no target)")
	flags.StringVar((*string)(&o.own.Read), "read", "",
		"with a backup of yours: read the keys of all members, or of one; HashKV is compared on all "+
			"(default: one if the backup is larger than 256 MiB)")
	flags.BoolVar(&o.own.OriginalSize, "original-size", false,
		"with a backup of yours: restore as many members as it had, in place of --members")
	flags.StringVar(&o.redact, "redact", "",
		"with a backup of yours: keys hides the names of keys in everything that is written and said")
	o.livingFlags.add(flags)
	flags.Var(&o.maxUnpacked, "max-unpacked", "refuse a packed backup, or one from standard input, that is larger than this")
}

// standsAlone are the flags of a drill that makes its own disaster; a backup has none.
func standsAlone() []string {
	return []string{"lose", "fault", "source", "backup", "route", "restore-members", "auth", "keys", "value-size", "workers"}
}

// wanted tells whether a backup was named, and refuses flags that have no meaning without one, or with one.
func (o *ownFlags) wanted(flags *pflag.FlagSet) (bool, error) {
	file, living := flags.Changed("snapshot"), flags.Changed("endpoints")
	needs := func(there bool, way string, names ...string) error {
		for _, name := range names {
			if flags.Changed(name) && !there {
				return usage(fmt.Errorf("--%s is for %s", name, way))
			}
		}
		return nil
	}
	err := errors.Join(
		needs(file || living, "a backup of your own; name it with --snapshot FILE, or a living cluster with --endpoints",
			"canary", "canary-max-age", "redact", "read", "original-size"),
		needs(file, "a backup of your own; name it with --snapshot FILE", "expect", "max-unpacked"),
		needs(living, "a living cluster; name its members with --endpoints", livingNames()...),
	)
	if err != nil || !file && !living {
		return false, err
	}
	if file && living {
		return false, usage(errors.New("--snapshot and --endpoints are two backups; name one"))
	}
	for _, name := range standsAlone() {
		if flags.Changed(name) {
			return false, usage(fmt.Errorf(
				"--%s is for a drill that makes its own disaster; a backup is drilled by itself, so leave it away", name))
		}
	}
	if o.own.OriginalSize && flags.Changed("members") {
		return false, usage(errors.New("--original-size and --members say two things; give one"))
	}
	if flags.Changed("redact") && o.redact != "keys" {
		return false, usage(fmt.Errorf("unknown --redact %q: choose keys", o.redact))
	}
	if file && o.own.File == "" {
		return false, usage(errors.New("--snapshot needs the name of a file or directory, or - for standard input"))
	}
	if flags.Changed("canary-max-age") && o.own.Canary == "" {
		return false, usage(errors.New("--canary-max-age is the age of the time under a key; name the key with --canary KEY"))
	}
	return true, nil
}

// spec is the drill of the backup. Whoever names an etcd of their own has it run, whatever wrote the backup.
func (o *ownFlags) spec(base drill.Spec, host hostFlags) (drill.Spec, error) {
	own := o.own
	own.Redact = o.redact != ""
	if len(o.endpoints) > 0 {
		living, err := o.living()
		if err != nil {
			return drill.Spec{}, err
		}
		own.Living = living
	}
	own.MaxBytes = int64(o.maxUnpacked)
	if own.File == "-" {
		if term.IsTerminal(int(os.Stdin.Fd())) {
			return drill.Spec{}, usage(errors.New("--snapshot - reads a backup from a pipe, and standard input is a terminal"))
		}
		own.Input = os.Stdin
	}
	cfg, err := host.config(nil)
	if err != nil {
		return drill.Spec{}, err
	}
	own.AnyVersion = cfg.Image != "" || cfg.Program != ""
	base.Own = &own
	base.EtcdVersion, base.RestoreVersion = release.Full(base.EtcdVersion), release.Full(base.RestoreVersion)
	return base, base.Check()
}

// byteSize is a number of bytes, typed as 10GiB, 500M or 4096.
type byteSize int64

// String implements pflag.Value.
func (b *byteSize) String() string {
	n := int64(*b)
	for _, unit := range byteUnits() {
		if n != 0 && n%unit.bytes == 0 {
			return strconv.FormatInt(n/unit.bytes, 10) + unit.name + "iB"
		}
	}
	return strconv.FormatInt(n, 10)
}

// Set implements pflag.Value.
func (b *byteSize) Set(text string) error {
	number, factor := strings.ToUpper(strings.TrimSpace(text)), int64(1)
	number = strings.TrimSuffix(strings.TrimSuffix(number, "B"), "I")
	for _, unit := range byteUnits() {
		if rest, found := strings.CutSuffix(number, unit.name); found {
			number, factor = rest, unit.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64/factor {
		return errors.New("write it like 10GiB, 500M or 4096, above 0")
	}
	*b = byteSize(n * factor)
	return nil
}

// Type implements pflag.Value.
func (b *byteSize) Type() string { return "size" }

type byteUnit struct {
	name  string
	bytes int64
}

// byteUnits are powers of 1024, the largest first.
func byteUnits() []byteUnit {
	return []byteUnit{{"T", 1 << 40}, {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}}
}
