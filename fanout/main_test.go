package fanout

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain fails if a goroutine outlives the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// leavesNothing runs f and checks that no goroutine outlives it that it began, itself or by another. Those of tests that run
// at the same time are none of its business, which is why this goes by a label, which a goroutine inherits.
func leavesNothing(t *testing.T, f func()) {
	t.Helper()
	const key = "leaves nothing"
	mark := fmt.Sprintf("%s at %d", t.Name(), time.Now().UnixNano())
	pprof.Do(t.Context(), pprof.Labels(key, mark), func(context.Context) { f() })
	var all bytes.Buffer
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		all.Reset()
		check(t, pprof.Lookup("goroutine").WriteTo(&all, 1))
		left := goroutinesLabelled(all.String(), fmt.Sprintf("%q:%q", key, mark))
		if left == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("goroutines that are left:\n%s", left)
			return
		}
	}
}

// goroutinesLabelled takes those from a profile whose labels have one.
func goroutinesLabelled(profile, label string) string {
	var left []string
	for g := range strings.SplitSeq(profile, "\n\n") {
		if strings.Contains(g, label) {
			left = append(left, g)
		}
	}
	return strings.Join(left, "\n\n")
}

func TestLeavesNothingTells(t *testing.T) {
	end, begun := make(chan struct{}), make(chan struct{})
	defer close(end)
	var profile bytes.Buffer
	pprof.Do(t.Context(), pprof.Labels("of", "this \"test\""), func(context.Context) {
		go func() { go func() { begun <- struct{}{}; <-end }(); begun <- struct{}{}; <-end }()
	})
	go func() { begun <- struct{}{}; <-end }()
	for range 3 {
		<-begun
	}
	check(t, pprof.Lookup("goroutine").WriteTo(&profile, 1))
	if got := goroutinesLabelled(profile.String(), fmt.Sprintf("%q:%q", "of", "this \"test\"")); strings.Count(got, "# labels:") != 2 {
		t.Errorf("not the two: %s", got)
	}
}
