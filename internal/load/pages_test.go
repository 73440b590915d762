package load

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// shelf answers ranges as etcd does, and counts what that takes.
type shelf struct {
	keys           []string
	valueBytes     int
	asked, counted int
}

func (s *shelf) get(from, end string, limit int64) *clientv3.GetResponse {
	first, _ := slices.BinarySearch(s.keys, from)
	last := len(s.keys)
	if end != fromKey {
		last, _ = slices.BinarySearch(s.keys, end)
	}
	last = max(last, first)
	s.asked++
	s.counted += last - first
	resp := &pb.RangeResponse{Count: int64(last - first), More: int64(last-first) > limit}
	for _, key := range s.keys[first:min(last, first+int(limit))] {
		resp.Kvs = append(resp.Kvs, &mvccpb.KeyValue{Key: []byte(key), Value: make([]byte, s.valueBytes)})
	}
	return (*clientv3.GetResponse)(resp)
}

// TestPagesBringEveryKeyAndCountFew is about the time that a keyspace takes: it must grow with the number of keys and not with its
// square, however keys are made. Asked for page by page to the end, a million keys are counted 50 times each. Of keys that share
// ever more of what they begin with only the order is certain.
func TestPagesBringEveryKeyAndCountFew(t *testing.T) {
	const n = 200_000
	random := rand.New(rand.NewPCG(1, 2))
	for name, key := range map[string]func(i int) string{
		"decimal": func(i int) string { return fmt.Sprintf("/registry/dataset/%010d", i) },
		"names": func(i int) string {
			return fmt.Sprintf("/registry/%s/ns-%d/pod-%x", []string{"pods", "secrets", "leases"}[i%3], i%50, i)
		},
		"binary":   func(int) string { return string(binary.BigEndian.AppendUint64(nil, random.Uint64())) },
		"hex":      func(int) string { return fmt.Sprintf("%016x", random.Uint64()) },
		"workers":  func(i int) string { return fmt.Sprintf("/w%02d/k%06d", i%64, i/64) },
		"one long": func(i int) string { return fmt.Sprintf("%0200d", i) },
		"unary":    func(i int) string { return string(make([]byte, i%2000)) + fmt.Sprintf("%06d", i) },
	} {
		t.Run(name, func(t *testing.T) {
			s := &shelf{valueBytes: 64}
			for i := range n {
				s.keys = append(s.keys, key(i))
			}
			slices.Sort(s.keys)
			s.keys = slices.Compact(s.keys)
			var got []string
			for p, more := newPages(), true; more; {
				from, end, limit := p.next()
				resp := s.get(from, end, limit)
				for _, kv := range resp.Kvs {
					got = append(got, string(kv.Key))
				}
				var err error
				if more, err = p.turn(resp); err != nil {
					t.Fatal(err)
				}
				if s.asked > n {
					t.Fatalf("asked %d times, have %d keys", s.asked, len(got))
				}
			}
			if !slices.Equal(got, s.keys) {
				t.Errorf("%d keys came of %d", len(got), len(s.keys))
			}
			if perKey := s.counted / n; name != "unary" && (perKey > 8 || s.asked > 10*n/maxPageKeys) {
				t.Errorf("asked %d times, and every key was counted %d times", s.asked, perKey)
			}
		})
	}
}
