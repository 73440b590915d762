package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/await"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// bystanders are one of each kind, who watch the same member.
type bystanders struct{ plain, informer *Bystander }

func watchBoth(t *testing.T, ctx context.Context, m *member) bystanders {
	t.Helper()
	begin := func(caching bool) *Bystander {
		b, err := NewBystander(ctx, m.dial(t), caching)
		check(t, err)
		t.Cleanup(func() { _ = b.Close() })
		return b
	}
	return bystanders{begin(false), begin(true)}
}

func (b bystanders) each(do func(name string, b *Bystander)) {
	do("watcher", b.plain)
	do("informer", b.informer)
}

func writeKeys(t *testing.T, ctx context.Context, client *clientv3.Client, value string, n int) (last int64) {
	t.Helper()
	for i := range n {
		resp, err := client.Put(ctx, fmt.Sprintf("k%03d", i%40), value)
		check(t, err)
		last = resp.Header.Revision
	}
	return last
}

func awaitShown(t *testing.T, ctx context.Context, b *Bystander, what string, there func(Shown) bool) Shown {
	t.Helper()
	check(t, await.Until(ctx, await.Condition{Name: what, Within: 20 * time.Second}, func(context.Context) error {
		if s := b.Shown(); !there(s) {
			return fmt.Errorf("it shows %+v", s)
		}
		return nil
	}))
	return b.Shown()
}

func TestAClusterThatIsBehindIsDeafToItsWatchersUntilItPassesThem(t *testing.T) {
	ctx := testContext(t)
	old, reborn := startMember(t), startMember(t)
	client := old.dial(t)
	writeKeys(t, ctx, client, "before", 10)
	both := watchBoth(t, ctx, old)
	last := writeKeys(t, ctx, client, "lost", 20)
	both.each(func(_ string, b *Bystander) {
		awaitShown(t, ctx, b, "all of the old cluster", func(s Shown) bool { return s.Last == last })
	})
	old.kill(t)
	both.each(func(_ string, b *Bystander) { b.Move(reborn.url) })

	client = reborn.dial(t)
	end := writeKeys(t, ctx, client, "new", int(last)+5)
	both.each(func(name string, b *Bystander) {
		s := awaitShown(t, ctx, b, "the end", func(s Shown) bool { return s.Resumed == end })
		if s.Failure != "" || s.Cancelled != 0 || s.Listed != 1 || s.Last != last || len(s.Clusters) != 2 {
			t.Errorf("%s: %+v", name, s)
		}
		var want []int64
		for rev := last + 1; rev <= end; rev++ {
			want = append(want, rev)
		}
		if !slices.Equal(s.Heard, want) {
			t.Errorf("%s heard %v, want %v", name, s.Heard, want)
		}
	})
	if differ, some, err := both.informer.Differences(ctx, client); err != nil || differ == 0 || len(some) == 0 {
		t.Errorf("the cache differs in %d keys: %v, %v", differ, some, err)
	}
	if differ, _, err := both.plain.Differences(ctx, client); err != nil || differ != 0 {
		t.Errorf("without a cache there are %d differences, %v", differ, err)
	}
}

func TestAClusterThatHasCompactedCancelsItsWatchersAndAnInformerListsAgain(t *testing.T) {
	ctx := testContext(t)
	old, reborn := startMember(t), startMember(t)
	both := watchBoth(t, ctx, old)
	last := writeKeys(t, ctx, old.dial(t), "lost", 20)
	both.each(func(_ string, b *Bystander) {
		awaitShown(t, ctx, b, "all of the old cluster", func(s Shown) bool { return s.Last == last })
	})
	client := reborn.dial(t)
	point := writeKeys(t, ctx, client, "new", 60)
	_, err := client.Compact(ctx, point)
	check(t, err)
	old.kill(t)
	both.each(func(_ string, b *Bystander) { b.Move(reborn.url) })

	select {
	case <-both.plain.Ended():
	case <-ctx.Done():
		t.Fatal("the watcher was not cancelled")
	}
	if s := both.plain.Shown(); s.Cancelled != point || len(s.Heard) != 0 || s.Failure != "" {
		t.Errorf("watcher: %+v", s)
	}
	awaitShown(t, ctx, both.informer, "the second list", func(s Shown) bool { return s.Listed == 2 })
	end := writeKeys(t, ctx, client, "newer", 3)
	s := awaitShown(t, ctx, both.informer, "the end", func(s Shown) bool { return s.Resumed == end })
	if s.Cancelled != point || s.Failure != "" || !slices.Equal(s.Heard, []int64{end - 2, end - 1, end}) {
		t.Errorf("informer: %+v", s)
	}
	if differ, some, err := both.informer.Differences(ctx, client); err != nil || differ != 0 {
		t.Errorf("the cache differs in %d keys: %v, %v", differ, some, err)
	}
}

func TestAClientOfAClusterThatIsGoneResumesWhereItHadBeen(t *testing.T) {
	ctx := testContext(t)
	member := startMember(t)
	client := member.dial(t)
	point := writeKeys(t, ctx, client, "new", 20)
	_, err := client.Compact(ctx, point)
	check(t, err)
	for name, caching := range map[string]bool{"watcher": false, "informer": true} {
		b, err := Resume(ctx, member.dial(t), point-5, caching)
		check(t, err)
		if !caching {
			<-b.Ended()
		}
		s := awaitShown(t, ctx, b, "its end, or the list", func(s Shown) bool { return s.Cancelled != 0 && (!caching || s.Listed == 1) })
		if s.Cancelled != point || s.Last != point-5 || s.Failure != "" {
			t.Errorf("%s: %+v", name, s)
		}
		if differ, some, err := b.Differences(ctx, client); err != nil || differ != 0 {
			t.Errorf("the cache of the %s differs in %d keys: %v, %v", name, differ, some, err)
		}
		check(t, b.Close())
	}
	deaf, err := Resume(ctx, member.dial(t), point+3, false)
	check(t, err)
	end := writeKeys(t, ctx, client, "newer", 5)
	s := awaitShown(t, ctx, deaf, "the end", func(s Shown) bool { return s.Resumed == end })
	if s.Cancelled != 0 || !slices.Equal(s.Heard, []int64{end - 1, end}) {
		t.Errorf("a revision that was seen before: %+v", s)
	}
	check(t, deaf.Close())
}

func TestABystanderThatCannotBeginSaysSo(t *testing.T) {
	m := startMember(t)
	client := m.dial(t)
	ended, cancel := context.WithCancel(testContext(t))
	cancel()
	if _, err := NewBystander(ended, client, true); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
