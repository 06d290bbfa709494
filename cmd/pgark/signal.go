package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// errInterrupted is the cause of the context's end when a signal asked for it.
var errInterrupted = errors.New("interrupted")

// watchSignals returns a context that the first SIGINT, SIGTERM or SIGHUP ends, with errInterrupted as its cause. The second
// one ends the program at once. SIGHUP counts only if nobody asked for it to be ignored (nohup).
//
// SIGPIPE is caught, so that writing to a closed pipe is an error like any other, not a silent death with a half
// written file left behind.
func (a *app) watchSignals() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	sigs := make(chan os.Signal, 2)
	signal.Notify(sigs, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(sigs, syscall.SIGHUP)
	}
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-done:
			return
		case <-sigs:
		}
		cancel(errInterrupted)
		a.say("interrupted: cancelling what runs on the server; once more to stop at once")
		select {
		case <-done:
		case <-sigs:
			a.mu.Lock() // never unlocked: nothing may be written or created from here on
			for path := range a.unfinish {
				_ = os.RemoveAll(path)
			}
			os.Exit(exitInterrupted)
		}
	}()
	return ctx, func() {
		// The signals stay caught: one that comes from here on must not turn what has been done into a failure.
		close(done)
		<-ended
		cancel(nil)
	}
}

// interrupted tells whether a signal asked the program to end.
func interrupted(ctx context.Context) bool {
	return errors.Is(context.Cause(ctx), errInterrupted)
}
