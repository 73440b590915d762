package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
)

// tryNftables adds a table with one rule, which drops what comes from one address, and looks for the rule in the kernel.
func tryNftables(mark string) (string, error) {
	conn, err := nftables.New()
	if err != nil {
		return "", fmt.Errorf("connect to nftables: %w", err)
	}
	table := conn.AddTable(&nftables.Table{Name: mark, Family: nftables.TableFamilyIPv4})
	chain := conn.AddChain(&nftables.Chain{
		Name: "input", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter,
	})
	const sourceOffset, addressBytes = 12, 4 // in the IPv4 header
	from := netip.AddrFrom4([4]byte{192, 0, 2, 1})
	conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: sourceOffset, Len: addressBytes},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: from.AsSlice()},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}})
	if err := conn.Flush(); err != nil {
		return "", fmt.Errorf("add a rule: %w", err)
	}
	rules, err := conn.GetRules(table, chain)
	if err != nil {
		return "", fmt.Errorf("list rules: %w", err)
	}
	if len(rules) != 1 || !drops(rules[0]) {
		return "", fmt.Errorf("list rules: the added one is not among %d", len(rules))
	}
	conn.DelTable(table)
	if err := conn.Flush(); err != nil {
		return "", fmt.Errorf("remove the rule: %w", err)
	}
	return "added a rule that drops packets, listed it and removed it", nil
}

func drops(rule *nftables.Rule) bool {
	for _, part := range rule.Exprs {
		if verdict, is := part.(*expr.Verdict); is && verdict.Kind == expr.VerdictDrop {
			return true
		}
	}
	return false
}

func tryNetem(string) (string, error) {
	const delayMicros = 1000
	return tryQdisc("netem", func(at netlink.QdiscAttrs) netlink.Qdisc {
		return netlink.NewNetem(at, netlink.NetemQdiscAttrs{Latency: delayMicros})
	})
}

func tryTBF(string) (string, error) {
	const bytesPerSecond, burstBytes, queueBytes = 1 << 20, 64 << 10, 128 << 10
	return tryQdisc("tbf", func(at netlink.QdiscAttrs) netlink.Qdisc {
		return &netlink.Tbf{QdiscAttrs: at, Rate: bytesPerSecond, Buffer: burstBytes, Limit: queueBytes}
	})
}

// tryQdisc makes a queueing discipline the root of the loopback interface, which is the only one in a new network namespace,
// and looks for it in the kernel.
func tryQdisc(kind string, build func(netlink.QdiscAttrs) netlink.Qdisc) (string, error) {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return "", fmt.Errorf("find lo: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return "", fmt.Errorf("set lo up: %w", err)
	}
	at := netlink.QdiscAttrs{LinkIndex: lo.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT}
	err = netlink.QdiscReplace(build(at))
	if errors.Is(err, syscall.ENOENT) { // qdisc_create in the kernel's net/sched/sch_api.c
		return "", fmt.Errorf("set %s on lo: the kernel does not know it: %w", kind, err)
	}
	if err != nil {
		return "", fmt.Errorf("set %s on lo: %w", kind, err)
	}
	found, err := netlink.QdiscList(lo)
	if err != nil {
		return "", fmt.Errorf("list what is set on lo: %w", err)
	}
	for _, qdisc := range found {
		if qdisc.Type() == kind && qdisc.Attrs().Parent == netlink.HANDLE_ROOT {
			return "set it on lo and listed it", nil
		}
	}
	return "", fmt.Errorf("list what is set on lo: %s is not among %d", kind, len(found))
}
