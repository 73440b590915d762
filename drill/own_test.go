package drill

import (
	"reflect"
	"testing"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/fetch"
)

func TestAMemberIsAskedAtOneEndpoint(t *testing.T) {
	a, again := fetch.Vantage{Endpoint: "a", Member: 1}, fetch.Vantage{Endpoint: "a2", Member: 1}
	b := fetch.Vantage{Endpoint: "b", Member: 2}
	mute, deaf := fetch.Vantage{Endpoint: "m", Fault: "mute"}, fetch.Vantage{Endpoint: "d", Fault: "deaf"}
	got := oncePerMember([]fetch.Vantage{mute, a, again, b, deaf})
	if want := []fetch.Vantage{mute, a, b, deaf}; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestMembersGetTwiceTheRoomOfTheirSource(t *testing.T) {
	for size, want := range map[int64]string{
		0: "--quota-backend-bytes=2147483648", 1 << 30: "--quota-backend-bytes=2147483648", 3 << 30: "--quota-backend-bytes=6442450944",
	} {
		if got := quotaFlag(recovery.Source{SizeBytes: size}); got != want {
			t.Errorf("%d bytes: %s, want %s", size, got, want)
		}
	}
}
