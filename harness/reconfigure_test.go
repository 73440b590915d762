package harness

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

func TestAChangeOfMembersIsAskedForUntilItIsGrantedOrMayHaveBeenMade(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		answers []error // the last of them is given again and again
		asked   int     // 0 for more than once, and until the time is over
		want    error
	}{
		"granted": {[]error{nil}, 1, nil},
		"granted later": {
			[]error{rpctypes.ErrUnhealthy, rpctypes.ErrMemberNotEnoughStarted, rpctypes.ErrMemberLearnerNotReady, nil}, 4, nil,
		},
		"broken":               {[]error{broken}, 1, broken},
		"broken later":         {[]error{rpctypes.ErrUnhealthy, broken}, 2, broken},
		"not known what it is": {[]error{context.DeadlineExceeded}, 1, context.DeadlineExceeded},
		"never granted":        {[]error{rpctypes.ErrUnhealthy}, 0, rpctypes.ErrUnhealthy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			within := time.Minute
			if c.asked == 0 {
				within = time.Second
			}
			asked := 0
			err := reconfigure(t.Context(), "leave", within, func(context.Context) error {
				answer := c.answers[min(asked, len(c.answers)-1)]
				asked++
				return answer
			})
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if c.asked > 0 && asked != c.asked || c.asked == 0 && asked < 2 {
				t.Errorf("asked %d times, want %d", asked, c.asked)
			}
		})
	}
}
