package release

import (
	"sync"
	"time"
)

// tickEvery leaves room for a slow second below the two seconds that nothing may be silent for.
const tickEvery = time.Second

// Tick reports line at once and then every second until stop is called, so that long work shows that it is alive. The line
// is asked for anew each time, with the time gone by in whole seconds. After stop has returned progress is not called any
// more; stop may be called twice.
func Tick(progress func(string), line func(elapsed time.Duration) string) (stop func()) {
	start := time.Now()
	ended, left := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(left)
		ticker := time.NewTicker(tickEvery)
		defer ticker.Stop()
		for {
			progress(line(time.Since(start).Round(time.Second)))
			select {
			case <-ended:
				return
			case <-ticker.C:
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(ended)
		<-left
	})
}
