package wire

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestCopyInRoundTrip(t *testing.T) {
	t.Parallel()
	srv, db, c := newDB(t)
	srv.Exec(t, db, "CREATE TABLE t (i int, v text)")
	var all strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&all, "%d\t%s\n", i, strings.Repeat("v", i%3000))
	}
	text := all.String()
	for _, size := range []int{1 << 10, copyInBuffer - headerLen, copyInBuffer - headerLen + 1, 700_001, copyInMessage, len(text)} {
		mustExec(t, c, "TRUNCATE public.t")
		ci, err := c.CopyIn(testContext(t), "COPY public.t FROM STDIN")
		if err != nil {
			t.Fatal(err)
		}
		for rest := text; rest != ""; {
			part := rest[:min(size, len(rest))]
			if n, err := ci.Write([]byte(part)); err != nil || n != len(part) {
				t.Fatalf("%d of %d: %v", n, len(part), err)
			}
			rest = rest[len(part):]
		}
		if rows, err := ci.Close(testContext(t)); err != nil || rows != 5000 {
			t.Fatalf("%d rows, %v", rows, err)
		}
		if _, err := ci.Close(testContext(t)); err == nil {
			t.Error("closed twice")
		}
		o, err := c.CopyOut(testContext(t), "COPY (SELECT * FROM public.t ORDER BY i) TO STDOUT")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readAll(t, testContext(t), o, make([]byte, 1<<20)); err != nil || string(got) != text {
			t.Errorf("parts of %d: %d bytes came back of %d, %v", size, len(got), len(text), err)
		}
	}
	ci, err := c.CopyIn(testContext(t), "COPY public.t FROM STDIN")
	if err != nil {
		t.Fatal(err)
	}
	if rows, err := ci.Close(testContext(t)); err != nil || rows != 0 {
		t.Errorf("no rows: %d, %v", rows, err)
	}
}

// The server refuses a row early on; Write learns of it long before the end.
func TestCopyInErrorWhileWriting(t *testing.T) {
	srv, db, c := newDB(t)
	srv.Exec(t, db, "CREATE TABLE t (i int CHECK (i <> 3))")
	ci, err := c.CopyIn(testContext(t), "COPY public.t FROM STDIN")
	if err != nil {
		t.Fatal(err)
	}
	block := []byte("1\n2\n3\n" + strings.Repeat("4\n", 1<<20))
	for writes := 0; err == nil; writes++ {
		if writes == 1000 {
			t.Fatal("2 GB were written to a COPY that had failed")
		}
		_, err = ci.Write(block)
	}
	if code(err) != "23514" {
		t.Errorf("Write: %v", err)
	}
	rows, err := ci.Close(testContext(t))
	var e *ServerError
	if rows != 0 || !errors.As(err, &e) || e.Table != "t" || !strings.Contains(e.Where, "line 3") {
		t.Errorf("Close: %d, %v", rows, err)
	}
	usable(t, c)

	ci, err = c.CopyIn(testContext(t), "COPY public.t FROM STDIN")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ci.Write([]byte("1\n3\n")); err != nil {
		t.Error(err)
	}
	if _, err := ci.Close(testContext(t)); code(err) != "23514" {
		t.Errorf("an error at the end: %v", err)
	}
	for sql, want := range map[string]string{"COPY public.nowhere FROM STDIN": "42P01", "SELECT 1": "COPY FROM STDIN expected", "COPY public.t TO STDOUT": "COPY FROM STDIN expected"} {
		if _, err := c.CopyIn(testContext(t), sql); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", sql, err)
		}
	}
	usable(t, c)
	if got := mustQuery(t, c, "SELECT count(*) FROM public.t"); got != "0" {
		t.Errorf("%s rows are there", got)
	}
}

func TestCopyInAbort(t *testing.T) {
	srv, db, c := newDB(t)
	srv.Exec(t, db, "CREATE TABLE t (i int)")
	ci, err := c.CopyIn(testContext(t), "COPY public.t FROM STDIN")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ci.Write([]byte(strings.Repeat("1\n", 1<<20))); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(testContext(t), "SELECT 1"); !errors.Is(err, ErrBusy) {
		t.Errorf("Exec within COPY: %v", err)
	}
	if err := ci.Abort("changed my mind"); err != nil {
		t.Error(err)
	}
	if _, err := ci.Write([]byte("1\n")); err == nil {
		t.Error("written after Abort")
	}
	usable(t, c)

	// The end of the context is the end of the COPY, even where rows could still be sent.
	ctx, cancel := context.WithCancel(testContext(t))
	if ci, err = c.CopyIn(ctx, "COPY public.t FROM STDIN"); err != nil {
		t.Fatal(err)
	}
	if _, err := ci.Write([]byte("1\n")); err != nil {
		t.Error(err)
	}
	cancel()
	if _, err := ci.Write([]byte("1\n")); !errors.Is(err, context.Canceled) {
		t.Errorf("Write: %v", err)
	}
	if _, err := ci.Close(testContext(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("Close: %v", err)
	}
	usable(t, c)
	if got := mustQuery(t, c, "SELECT count(*) FROM public.t"); got != "0" {
		t.Errorf("%s rows are there", got)
	}
}

// Closing the session within a COPY leaves neither goroutine nor rows.
func TestCloseWithinCopyIn(t *testing.T) {
	srv, db, c := newDB(t)
	srv.Exec(t, db, "CREATE TABLE t (i int)")
	ci, err := c.CopyIn(testContext(t), "COPY public.t FROM STDIN")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ci.Write([]byte("1\n")); err != nil {
		t.Error(err)
	}
	if err := c.Close(testContext(t)); err != nil {
		t.Error(err)
	}
	if _, err := ci.Close(testContext(t)); err == nil {
		t.Error("COPY ended well on a closed session")
	}
	srv.WaitNoSessions(t, db)
	if got := srv.QueryString(t, db, "SELECT count(*) FROM t"); got != "0" {
		t.Errorf("%s rows are there", got)
	}
}
