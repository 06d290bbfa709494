package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// Rows of every size, around the sizes of the buffers, arrive whole and unchanged, whatever the caller's buffer.
func TestCopyOutRowSizes(t *testing.T) {
	t.Parallel()
	_, _, c := newDB(t)
	sizes := []int{0, 1, 2, 3, 100, 8180, 8191, 8192, 8193, 65530, 65536}
	for d := -7; d <= 2; d++ {
		sizes = append(sizes, readBuffer+d, readBuffer/2+d)
	}
	sizes = append(sizes, 3*readBuffer, 1<<20, 5<<20)
	rng := rand.New(rand.NewPCG(1, 2))
	var values []string
	var want bytes.Buffer
	for i := range 300 {
		size := sizes[rng.IntN(11)] // the large ones once each
		if i < len(sizes) {
			size = sizes[i]
		}
		values = append(values, fmt.Sprintf("(%d, repeat('%c', %d))", i, 'a'+i%26, size))
		want.WriteString(strings.Repeat(string(rune('a'+i%26)), size) + "\n")
	}
	query := "COPY (SELECT v FROM (VALUES " + strings.Join(values, ", ") + ") t (i, v)) TO STDOUT"
	for _, size := range []int{500, 8193, readBuffer - 6, readBuffer - 5, readBuffer, readBuffer + 1, 1 << 20, 4 << 20} {
		o, err := c.CopyOut(testContext(t), query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := readAll(t, testContext(t), o, make([]byte, size))
		if err != nil {
			t.Fatalf("buffer of %d: %v", size, err)
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Errorf("buffer of %d: %d other bytes came, want %d", size, len(got), want.Len())
		}
		if o.Rows() != 300 {
			t.Errorf("buffer of %d: %d rows", size, o.Rows())
		}
	}
	usable(t, c)
}

func TestCopyOutRowOf100MB(t *testing.T) {
	_, _, c := newDB(t)
	o, err := c.CopyOut(testContext(t), "COPY (SELECT v FROM (VALUES ('a'), (repeat('x', 110000000)), ('b')) t (v)) TO STDOUT")
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4<<20)
	var ends [][2]string // of each Fill
	for {
		n, open, err := o.Fill(testContext(t), buf)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, [2]string{string(buf[:2]), fmt.Sprint(string(buf[n-2:n]), open)})
	}
	if o.Bytes() != 110_000_005 || o.Rows() != 3 {
		t.Errorf("%d bytes, %d rows", o.Bytes(), o.Rows())
	}
	if first, last := ends[0], ends[len(ends)-2]; first != [2]string{"a\n", "a\nfalse"} || last != [2]string{"xx", "x\nfalse"} {
		t.Errorf("the first part was %q, that with the end of the row %q", first, last)
	}
}

func TestCopyOutEmptyRows(t *testing.T) {
	srv, db, c := newDB(t)
	srv.Exec(t, db, "CREATE TABLE none (); INSERT INTO none SELECT FROM generate_series(1, 1000); CREATE TABLE empty (a int)")
	for table, want := range map[string]int{"none": 1000, "empty": 0} {
		o, err := c.CopyOut(testContext(t), "COPY public."+table+" TO STDOUT")
		if err != nil {
			t.Fatal(err)
		}
		got, err := readAll(t, testContext(t), o, make([]byte, 64))
		if err != nil || string(got) != strings.Repeat("\n", want) || int(o.Rows()) != want {
			t.Errorf("%s: %d bytes, %d rows, %v", table, len(got), o.Rows(), err)
		}
		if _, _, err := o.Fill(testContext(t), make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("after the end: %v", err)
		}
	}
}

// A COPY that fails half-way never looks complete, and the session goes on.
func TestCopyOutErrorOnTheWay(t *testing.T) {
	_, _, c := newDB(t)
	for _, rows := range []int{0, 10, 100_000} {
		o, err := c.CopyOut(testContext(t), fmt.Sprintf("COPY (SELECT repeat('x', 100), 1 / (%d - i) FROM generate_series(0, 200000) i) TO STDOUT", rows))
		if err == nil {
			_, err = readAll(t, testContext(t), o, make([]byte, 1<<20))
		}
		if code(err) != "22012" {
			t.Errorf("after %d rows: %v", rows, err)
		}
		usable(t, c)
	}
	for sql, want := range map[string]string{
		"COPY public.nowhere TO STDOUT": "42P01",
		"SELECT 1":                      "COPY TO STDOUT expected",
		"":                              "COPY TO STDOUT expected",
		"COPY pg_catalog.pg_class TO STDOUT BINARY": "binary",
		"COPY pg_catalog.pg_class FROM STDIN":       "COPY FROM STDIN",
	} {
		if _, err := c.CopyOut(testContext(t), sql); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", sql, err)
		}
		usable(t, c)
	}
}

func TestPipelineOfManySmallCopies(t *testing.T) {
	srv, db, c := newDB(t)
	srv.Exec(t, db, "CREATE TABLE t AS SELECT i, 'row ' || i AS v FROM generate_series(1, 10000) i; ALTER TABLE t ADD PRIMARY KEY (i)")
	const n = 10_000
	queries := make([]string, n)
	for i := range queries {
		queries[i] = fmt.Sprintf("COPY (SELECT v FROM public.t WHERE i = %d) TO STDOUT", i+1)
	}
	if err := c.Send(queries...); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(testContext(t), "SELECT 1"); !errors.Is(err, ErrBusy) {
		t.Errorf("Exec with results pending: %v", err)
	}
	ctx := testContext(t)
	buf := make([]byte, 1<<10)
	for i := range n {
		o, err := c.NextCopyOut(ctx)
		if err != nil {
			t.Fatal(err)
		}
		got, err := readAll(t, ctx, o, buf)
		if want := fmt.Sprintf("row %d\n", i+1); err != nil || string(got) != want {
			t.Fatalf("%q, %v; want %q", got, err, want)
		}
	}
	if c.Pending() != 0 {
		t.Errorf("%d pending", c.Pending())
	}
	if _, err := c.NextCopyOut(ctx); err == nil {
		t.Error("a result without a query")
	}
	usable(t, c)
}

// Queries and results both larger than any socket buffer must not block each other.
func TestPipelineDoesNotDeadlock(t *testing.T) {
	_, _, c := newDB(t)
	const n = 100
	filler := " /* " + strings.Repeat("x", 100_000) + " */"
	for range n {
		if err := c.Send("COPY (SELECT repeat('y', 1000000)) TO STDOUT" + filler); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 2<<20)
	for range n {
		o, err := c.NextCopyOut(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readAll(t, testContext(t), o, buf); err != nil || len(got) != 1_000_001 {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
}

func TestPipelineErrorInTheMiddle(t *testing.T) {
	_, _, c := newDB(t)
	ctx := testContext(t)
	queries := []string{"COPY (SELECT 1) TO STDOUT", "COPY public.nowhere TO STDOUT", "COPY (SELECT 1/(2-i) FROM generate_series(1, 9) i) TO STDOUT", "COPY (SELECT 4) TO STDOUT", "SELECT 5"}
	take := func() (results []string) {
		buf := make([]byte, 100)
		for c.Pending() > 1 {
			o, err := c.NextCopyOut(ctx)
			var got []byte
			if err == nil {
				got, err = readAll(t, ctx, o, buf)
			}
			results = append(results, strings.TrimSpace(string(got)+code(err)))
		}
		tag, err := c.NextExec(ctx)
		return append(results, tag.Text+code(err))
	}
	if err := c.Send(queries...); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(take()), "[1 42P01 1\n22012 4 SELECT 1]"; got != want {
		t.Errorf("on their own: %s, want %s", got, want)
	}
	mustExec(t, c, "BEGIN")
	if err := c.Send(queries...); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(take()), "[1 42P01 25P02 25P02 25P02]"; got != want {
		t.Errorf("in a transaction: %s, want %s", got, want)
	}
	mustExec(t, c, "ROLLBACK")
	if err := c.Send(queries...); err != nil {
		t.Fatal(err)
	}
	if err := c.Drain(ctx); err != nil || c.Pending() != 0 {
		t.Errorf("drain: %v, %d pending", err, c.Pending())
	}
	usable(t, c)
	o, err := c.CopyOut(ctx, "COPY (SELECT repeat('x', 3000000) FROM generate_series(1, 3)) TO STDOUT")
	if err != nil {
		t.Fatal(err)
	}
	if n, open, err := o.Fill(ctx, make([]byte, 1000)); n != 1000 || !open || err != nil {
		t.Errorf("%d, %v, %v", n, open, err)
	}
	if err := c.Drain(ctx); err != nil {
		t.Errorf("drain within a row: %v", err)
	}
	if _, _, err := o.Fill(ctx, make([]byte, 1000)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("Fill of a COPY that was drained: %v", err)
	}
	usable(t, c)
}
