package fanout

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pgark/pgark/archive"
)

// An interrupt does not wait for a worker that hangs while its volume gets its name, but for one that is about to answer.
func TestWorkerHangsAtItsEnd(t *testing.T) {
	t.Parallel()
	interrupted := errors.New("interrupted")
	for name, c := range map[string]struct {
		worker string
		step   func(*processes, context.Context) error
		want   error
	}{
		"commit, hangs":   {"exec sleep 1000", (*processes).Commit, interrupted},
		"keep, hangs":     {"exec sleep 1000", (*processes).Keep, interrupted},
		"commit, answers": {`read word; sleep 1; echo '{"done":true}'; exec cat`, (*processes).Commit, nil},
		"keep, answers":   {`read word; sleep 1; echo '{"kept":true}'; exec cat`, (*processes).Keep, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &ProcessStarter{Command: func(string, ...string) ([]string, error) { return []string{"sh", "-c", c.worker}, nil }}
			p, err := s.start(t.Context(), Place{Node: "shard1"})
			if err != nil {
				t.Fatal(err)
			}
			p.volume = archive.Volume{Path: "v"}
			w := &processes{all: []*process{p}}
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(100*time.Millisecond, func() { cancel(interrupted) })
			begun := time.Now()
			if err := c.step(w, ctx); !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			w.Close(ctx, true)
			if took := time.Since(begun); took > workerCommit/2 {
				t.Errorf("it took %v", took)
			}
		})
	}
}
