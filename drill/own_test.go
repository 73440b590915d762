package drill

import (
	"testing"

	"github.com/etcd-drill/etcd-drill/recovery"
)

func TestMembersGetTwiceTheRoomOfTheirSource(t *testing.T) {
	for size, want := range map[int64]string{
		0: "--quota-backend-bytes=2147483648", 1 << 30: "--quota-backend-bytes=2147483648", 3 << 30: "--quota-backend-bytes=6442450944",
	} {
		if got := quotaFlag(recovery.Source{SizeBytes: size}); got != want {
			t.Errorf("%d bytes: %s, want %s", size, got, want)
		}
	}
}
