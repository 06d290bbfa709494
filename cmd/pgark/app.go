package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/pgark/pgark/archive"
)

// app is one run of the program: where it reads and writes, and what the flags that all commands share say.
type app struct {
	stdin, stdout, stderr *os.File

	verbose  int
	quiet    bool
	progress string

	mu       sync.Mutex
	line     lineEraser          // draws on stderr, and has to make way for messages
	showing  bool                // a script goes to the terminal: nothing is drawn between its lines
	unfinish map[string]struct{} // files and directories to remove if the program has to end at once
}

// readOptionFile reads the file that an option names, standard input for -. What read finds wrong with it is wrong usage.
func (a *app) readOptionFile(option, path string, read func(io.Reader) error) error {
	var r io.Reader = a.stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("%s: %w", option, err)
		}
		defer f.Close()
		r = f
	}
	if err := read(r); err != nil {
		return usagef("%s %s: %v", option, path, err)
	}
	return nil
}

// lineEraser is something that occupies the last line of the terminal.
type lineEraser interface{ erase() }

// say writes one message line to stderr. It is for what people want to know although it is no result.
func (a *app) say(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.line != nil {
		a.line.erase()
	}
	fmt.Fprintf(a.stderr, "pgark: "+format+"\n", args...)
}

// tell is say, silenced by --quiet.
func (a *app) tell(format string, args ...any) {
	if !a.quiet {
		a.say(format, args...)
	}
}

// logger returns what the packages below log to: warnings by default, more with -v, errors only with -q.
func (a *app) logger() *slog.Logger {
	level := slog.LevelWarn
	switch {
	case a.quiet:
		level = slog.LevelError
	case a.verbose == 1:
		level = slog.LevelInfo
	case a.verbose > 1:
		level = slog.LevelDebug
	}
	return slog.New(&lineHandler{app: a, level: level})
}

// loggerIn is logger for what speaks of an archived database: names, and what the server says, are in its encoding.
func (a *app) loggerIn(cat *archive.Catalog) *slog.Logger {
	h := *a.logger().Handler().(*lineHandler)
	h.text = newTextDecoder(cat.Encoding)
	return slog.New(&h)
}

// lineHandler prints log records as message lines: "pgark: warning: message key=value". The attributes that name an
// object and a reason make a sentence: "pgark: error: not restored TABLE public.t: relation exists". The node that all of a
// logger's records are about goes before the message.
type lineHandler struct {
	app   *app
	level slog.Level
	attrs []slog.Attr
	text  textDecoder
}

func (h *lineHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	switch {
	case r.Level >= slog.LevelError:
		b.WriteString("error: ")
	case r.Level >= slog.LevelWarn:
		b.WriteString("warning: ")
	}
	for _, at := range h.attrs {
		if at.Key == "node" {
			fmt.Fprintf(&b, "node %v: ", at.Value.Resolve())
		}
	}
	b.WriteString(r.Message)
	add := func(at slog.Attr) bool {
		switch at.Key {
		case "object":
			fmt.Fprintf(&b, " %v", at.Value.Resolve())
		case "error", "message":
			fmt.Fprintf(&b, ": %v", at.Value.Resolve())
		default:
			fmt.Fprintf(&b, " %s=%v", at.Key, at.Value.Resolve())
		}
		return true
	}
	for _, at := range h.attrs {
		if at.Key != "node" {
			add(at)
		}
	}
	r.Attrs(add)
	h.app.say("%s", h.text.String(b.String()))
	return nil
}

func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = append(append([]slog.Attr(nil), h.attrs...), attrs...)
	return &c
}

// WithGroup drops the group: message lines are flat.
func (h *lineHandler) WithGroup(string) slog.Handler { return h }

// isTerminal tells whether f is one.
func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// removeAtOnce remembers a file or directory that must not outlive the program if a second signal ends it at once;
// the returned function forgets it.
func (a *app) removeAtOnce(path string) (forget func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unfinish == nil {
		a.unfinish = make(map[string]struct{})
	}
	a.unfinish[path] = struct{}{}
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.unfinish, path)
	}
}

// errWriter remembers the first error of the writer below, so that a command may print without looking
// at every call and ask once at the end.
type errWriter struct {
	w   io.Writer
	err error
}

func (e *errWriter) Write(p []byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	n, err := e.w.Write(p)
	e.err = err
	return n, err
}
