package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/pgark/pgark/archive/gpbackup"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/wire"
)

// The exit codes, the same for every command. exitTable repeats them for people.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitFound       = 3
	exitConnect     = 4
	exitInterrupted = 130
)

// exitCodes is a command's annotation that makes its help end with the table of exit codes.
func exitCodes(found string) map[string]string {
	return map[string]string{"exit": exitTable(found)}
}

// exitTable is the end of each command's help. found says what code 3 means for the command, "" if it never ends so.
func exitTable(found string) string {
	var b strings.Builder
	b.WriteString("Exit codes:\n")
	b.WriteString("  0    done, all of it\n")
	b.WriteString("  1    failed; the message says what state things are in\n")
	b.WriteString("  2    wrong usage\n")
	if found != "" {
		fmt.Fprintf(&b, "  3    finished, and %s\n", found)
	}
	b.WriteString("  4    can't connect, or not permitted\n")
	b.WriteString("  130  interrupted")
	return b.String()
}

// usageError is a wrong command line.
type usageError struct {
	message string
	hint    string
}

func (e *usageError) Error() string { return e.message }

func usagef(format string, args ...any) error {
	return &usageError{message: fmt.Sprintf(format, args...)}
}

// notYet is the refusal of what a later version is going to do. It is never silently ignored.
func notYet(what string) error {
	return &usageError{
		message: what + " is not supported by this version of pgark (" + version + ")",
		hint:    "`pgark help` lists what this version does",
	}
}

// foundError ends a command that finished and found something.
type foundError struct{ message string }

func (e *foundError) Error() string { return e.message }

// hintError adds advice to an error.
type hintError struct {
	err  error
	hint string
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

func withHint(err error, hint string) error {
	if err == nil {
		return nil
	}
	return &hintError{err: err, hint: hint}
}

// report prints what went wrong, if anything did, and returns the exit code. It is the only place that knows
// which error makes which code.
func (a *app) report(ctx context.Context, err error) int {
	if err == nil {
		return exitDone
	}
	var usage *usageError
	var found *foundError
	code, hint := exitFailed, ""
	switch {
	case errors.As(err, &usage):
		code, hint = exitUsage, usage.hint
	case errors.Is(err, fanout.ErrUsage), errors.Is(err, fanout.ErrPattern):
		code = exitUsage
	case interrupted(ctx):
		a.say("interrupted: %s", interruptText(err))
		return exitInterrupted
	case errors.As(err, &found), errors.Is(err, fanout.ErrMismatch):
		code = exitFound
	case wire.IsConnect(err), wire.IsPermission(err), errors.Is(err, fanout.ErrCatalogPermission), errors.Is(err, topology.ErrNode):
		code = exitConnect
	}
	var h *hintError
	if errors.As(err, &h) {
		hint = h.hint
	}
	var server *wire.ServerError
	if hint == "" && errors.As(err, &server) {
		hint = server.Hint
	}
	if hint == "" && wire.IsLockTimeout(err) {
		hint = "another session holds a lock that is in the way (see pg_locks); --lock-wait-timeout says how long to wait for it"
	}
	if hint == "" && (errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)) {
		hint = "let more files be open at once (ulimit -n), or take fewer sessions: -j"
	}
	if hint == "" && wire.IsTooMany(err) {
		hint = "take fewer sessions (-j), or let the server or the role have more"
	}
	if hint == "" && errors.Is(err, gpbackup.ErrUndecided) {
		hint = "--replicated TABLE, or --distributed TABLE, says which"
	}
	text := err.Error()
	if text != "" {
		a.say("%s", text)
	}
	if hint != "" && !strings.Contains(text, "hint: "+hint) { // an error of the server has it with it
		fmt.Fprintf(a.stderr, "hint: %s\n", hint)
	}
	return code
}

// stateError says what an interrupted or failed command leaves behind.
type stateError struct {
	err   error
	state string
}

func (e *stateError) Error() string { return e.err.Error() + " (" + e.state + ")" }
func (e *stateError) Unwrap() error { return e.err }

// interruptText leaves out that the context ended, which the word interrupted has said.
func interruptText(err error) string {
	var s *stateError
	switch {
	case errors.As(err, &s):
		return s.state
	case err == context.Canceled, err == errInterrupted: //nolint:errorlint // exactly that, with nothing around it that says more
		return "nothing more was done"
	}
	return err.Error()
}

// args wraps a check of positional arguments, so that what it refuses is wrong usage.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &usageError{message: err.Error(), hint: "see `" + cmd.CommandPath() + " --help`"}
		}
		return nil
	}
}
