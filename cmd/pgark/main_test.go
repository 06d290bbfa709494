package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pgark/pgark/internal/pgtest"
)

const goRace = "atexit_sleep_ms=0"

func TestMain(m *testing.M) {
	// A program with the race detector sleeps for a second before it exits, and these tests run hundreds.
	if err := os.Setenv("GORACE", goRace); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	testscript.Main(m, map[string]func(){"pgark": main, "unread": unread})
}

// unread runs a command whose standard output nobody reads any more: code 3 unread pgark verify x.
func unread() {
	r, w, err := os.Pipe()
	if err == nil {
		err = r.Close()
	}
	if err == nil {
		cmd := exec.Command(os.Args[1], os.Args[2:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, w, os.Stderr
		err = cmd.Run()
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(125)
	}
}

// TestScripts runs the scripts in testdata/script, each with the real command in a process of its own, against a real
// server. UPDATE=1 rewrites their golden files.
func TestScripts(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		Setup: func(env *testscript.Env) error {
			for _, kv := range [][2]string{
				{"PGHOST", srv.Host()},
				{"PGPORT", strconv.Itoa(srv.Port())},
				{"PGUSER", "postgres"},
				{"PGOPTIONS", ""},
				{"GORACE", goRace},
				{"BIN", srv.BinDir()},
				// Debian's psql and pg_dump in PATH are scripts, which take three times as long to begin.
				{"PATH", srv.BinDir() + string(os.PathListSeparator) + env.Getenv("PATH")},
				{"SRC", mustAbs(t)},
			} {
				env.Setenv(kv[0], kv[1])
			}
			return nil
		},
		Condition: func(cond string) (bool, error) { // server18: there are programs for "server VAR 18"
			major, err := strconv.Atoi(strings.TrimPrefix(cond, "server"))
			if err != nil {
				return false, fmt.Errorf("unknown condition %s", cond)
			}
			_, ok := pgtest.StockServer(major)
			return ok, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":     cmdCode,
			"flip":     cmdFlip,
			"cut":      cmdCut,
			"nofile":   cmdNoFile,
			"jsonhas":  cmdJSONHas,
			"contains": cmdContains,
			"unpack":   cmdUnpack,
			"server": func(ts *testscript.TestScript, neg bool, args []string) {
				cmdServer(t, ts, neg, args)
			},
			"db": func(ts *testscript.TestScript, neg bool, args []string) {
				cmdDB(t, srv, ts, neg, args)
			},
		},
	})
}

func mustAbs(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// cmdDB makes an empty database and puts its name into a variable: db VAR. It is dropped after all scripts.
func cmdDB(t *testing.T, srv *pgtest.Server, ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: db VAR [ENCODING]")
	}
	var opts []pgtest.DBOption
	if len(args) == 2 {
		opts = append(opts, pgtest.Encoding(args[1]))
	}
	ts.Setenv(args[0], srv.CreateDB(t, opts...))
}

// cmdServer starts a server of the script's own, and puts its port into a variable: server VAR. Its sockets are in VAR_HOST.
func cmdServer(t *testing.T, ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: server VAR [MAJOR]")
	}
	var options []pgtest.Option
	if len(args) == 2 {
		major, err := strconv.Atoi(args[1])
		ts.Check(err)
		dir, ok := pgtest.StockServer(major)
		if !ok {
			ts.Fatalf("no server of PostgreSQL %d", major)
		}
		options = append(options, pgtest.WithBinDir(dir))
	}
	srv := pgtest.Start(t, options...)
	ts.Setenv(args[0]+"_BIN", srv.BinDir())
	ts.Setenv(args[0], strconv.Itoa(srv.Port()))
	ts.Setenv(args[0]+"_HOST", srv.Host())
}

// cmdCode runs a command and expects an exit code: code 3 pgark verify x.
func cmdCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND [ARG]...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, not %d", got, want)
	}
}

// cmdFlip flips the lowest bit of one byte: flip FILE PERCENT, at that part of the file's length.
func cmdFlip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: flip FILE PERCENT")
	}
	percent, err := strconv.Atoi(args[1])
	ts.Check(err)
	path := ts.MkAbs(args[0])
	b, err := os.ReadFile(path)
	ts.Check(err)
	b[(len(b)-1)*percent/100] ^= 1
	ts.Check(os.WriteFile(path, b, 0o600))
}

// cmdCut truncates a file: cut FILE PERCENT.
func cmdCut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: cut FILE PERCENT")
	}
	percent, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	path := ts.MkAbs(args[0])
	info, err := os.Stat(path)
	ts.Check(err)
	ts.Check(os.Truncate(path, info.Size()*percent/100))
}

// cmdNoFile asserts that no file matches, hidden ones included: nofile PATTERN...
func cmdNoFile(ts *testscript.TestScript, neg bool, args []string) {
	for _, pattern := range args {
		found, err := filepath.Glob(ts.MkAbs(pattern))
		ts.Check(err)
		if (len(found) > 0) != neg {
			ts.Fatalf("%s: %q", pattern, found)
		}
	}
}

// cmdContains asserts that a file holds a string as it is: contains FILE STRING...
func cmdContains(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: contains FILE STRING...")
	}
	text := ts.ReadFile(args[0])
	for _, want := range args[1:] {
		if strings.Contains(text, want) == neg {
			ts.Fatalf("%s: contains %q is %v", args[0], want, neg)
		}
	}
}

// cmdJSONHas asserts the shape of JSON, of an object or of all objects in an array: jsonhas FILE name:type... A name with
// a dot leads into an object, or into every element of an array; types are those of JSON, and "int" for whole numbers.
func cmdJSONHas(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: jsonhas FILE NAME:TYPE...")
	}
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	dec.UseNumber()
	var v any
	ts.Check(dec.Decode(&v))
	for _, arg := range args[1:] {
		name, kind, _ := strings.Cut(arg, ":")
		ts.Check(hasShape(v, name, kind))
	}
}

func hasShape(v any, name, kind string) error {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if err := hasShape(e, name, kind); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		first, rest, deeper := strings.Cut(name, ".")
		field, ok := v[first]
		switch {
		case !ok:
			return fmt.Errorf("no %q in %v", first, v)
		case deeper:
			return hasShape(field, rest, kind)
		case jsonType(field) != kind && !(kind == "number" && jsonType(field) == "int"):
			return fmt.Errorf("%q is %s, not %s", first, jsonType(field), kind)
		}
		return nil
	}
	return fmt.Errorf("no object where %q is looked for", name)
}

func jsonType(v any) string {
	switch v := v.(type) {
	case string:
		return "string"
	case bool:
		return "bool"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	case json.Number:
		if _, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return "int"
		}
		return "number"
	}
	return "null"
}
