package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// rowsOut sends a query and takes its result.
func rowsOut(t *testing.T, ctx context.Context, c *Conn, sql string) (*RowsOut, error) {
	t.Helper()
	if err := c.Send(sql); err != nil {
		t.Fatal(err)
	}
	return c.NextRowsOut(ctx)
}

// sameAsCopy checks that RowsOut gives what COPY gives, whatever the caller's buffer.
func sameAsCopy(t *testing.T, c *Conn, query string, sizes ...int) {
	t.Helper()
	ctx := testContext(t)
	o, err := c.CopyOut(ctx, "COPY ("+query+") TO STDOUT")
	if err != nil {
		t.Fatal(err)
	}
	want, err := readAll(t, ctx, o, make([]byte, 4<<20))
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range sizes {
		r, err := rowsOut(t, ctx, c, query)
		if err != nil {
			t.Fatalf("%s: %v", shorten(query), err)
		}
		got, err := readAll(t, ctx, r, make([]byte, size))
		if err != nil {
			t.Fatalf("%s, buffer of %d: %v", shorten(query), size, err)
		}
		if r.Rows() != o.Rows() || !bytes.Equal(got, want) {
			i := 0
			for i < min(len(got), len(want)) && got[i] == want[i] {
				i++
			}
			t.Errorf("%s, buffer of %d: %d rows in %d bytes, want %d in %d, first difference at %d: %.40q, want %.40q",
				shorten(query), size, r.Rows(), len(got), o.Rows(), len(want), i, got[i:], want[i:])
		}
	}
	usable(t, c)
}

func TestRowsOutIsWhatCopyPrints(t *testing.T) {
	srv, db, c := newDB(t)
	srv.Exec(t, db, `CREATE TYPE mood AS ENUM ('sad "\', 'a	b'); CREATE TYPE pair AS (a int, b text);
CREATE TABLE t (i int, s smallint, l bigint, b bool, r real, d float8, n numeric, t text, v varchar, c char(12), y bytea, o oid, m mood, p pair,
  ts timestamp, tz timestamptz, dt date, iv interval, u uuid, j json, jb jsonb, a int[], ta text[], g int4range, pt point, ip inet, x xml, bits varbit, mo money);
INSERT INTO t SELECT i, i, i * 123456789::bigint, i % 2 = 0, i / 7.0, i / 11.0::float8, i / 13.0::numeric,
  repeat(chr(1 + i % 255), i % 40) || E'\b\f\n\r\t\v\\.' || i, repeat(E'\\N', i % 5), E'\t' || i, decode(md5(i::text), 'hex'), i, CASE WHEN i % 2 = 0 THEN 'sad "\'::mood ELSE 'a	b' END,
  (i, E'a\\b\n"' || i)::pair, 'epoch'::timestamp + i * interval '1 day 3 seconds', now(), '2000-01-01'::date + i, i * interval '1.5 hours', md5(i::text)::uuid,
  ('{"a": "\n\t\u0041"}')::json, '{"a\\": [1, "\\n"]}', ARRAY[i, NULL], ARRAY['a,b', E'\\', NULL, '', E'\n'], int4range(i, i + 5), point(i, -i / 3.0), '10.0.0.1', '<a>\</a>', B'0101', i
FROM generate_series(1, 1000) i;
INSERT INTO t SELECT NULL FROM generate_series(1, 10); INSERT INTO t (t, v, y) VALUES ('', '', ''), (E'\\.', E'\n', '\x00010e0d'), (NULL, '', NULL)`)
	tiny, sizes := []int{1, 2, 3, 7, 8, 9}, []int{63, 500, 4096, 1 << 20}
	sameAsCopy(t, c, "SELECT * FROM public.t", sizes...)
	sameAsCopy(t, c, "SELECT * FROM public.t WHERE i < 30 OR i IS NULL", tiny...)
	sameAsCopy(t, c, "SELECT t FROM public.t", sizes...)
	sizes = append(sizes, tiny...)
	sameAsCopy(t, c, "SELECT FROM public.t", sizes...)
	sameAsCopy(t, c, "SELECT * FROM public.t WHERE false", sizes...)
	sameAsCopy(t, c, "SELECT * FROM (VALUES (NULL::text, ''), ('', NULL), ('a', NULL), (NULL, 'b')) v", sizes...)
	// Every character of the first 300, in every place of a word.
	sameAsCopy(t, c, "SELECT repeat('x', n) || chr(i) || repeat('y', m) FROM generate_series(1, 300) i, generate_series(0, 9) n, generate_series(0, 9) m", 9, 100, 1<<20)
}

// Rows around the sizes of the buffers, and larger ones, arrive unchanged.
func TestRowsOutRowSizes(t *testing.T) {
	t.Parallel()
	_, _, c := newDB(t)
	var values []string
	rng := rand.New(rand.NewPCG(1, 2))
	sizes := []int{0, 1, 100, 8180, 8192, 65536, readBuffer / 2, 3 * readBuffer, 1 << 20, 5 << 20}
	for d := -30; d <= 2; d++ {
		sizes = append(sizes, readBuffer+d)
	}
	for i, size := range sizes {
		fill := []string{`x`, `\\`, `\n`, `ab\t`, `é`}[i%5]
		values = append(values, fmt.Sprintf("(%d, repeat(E'%s', %d), 'z')", i, fill, size/[]int{1, 1, 1, 3, 2}[i%5]))
		for range rng.IntN(3) {
			values = append(values, fmt.Sprintf(`(%d, E'small\n', NULL)`, i))
		}
	}
	query := "SELECT * FROM (VALUES " + strings.Join(values, ", ") + ") v (i, t, z)"
	sameAsCopy(t, c, query, 2777, readBuffer, readBuffer+1, 1<<20, 8<<20)
}

func TestRowsOutWideRows(t *testing.T) {
	_, _, c := newDB(t)
	var columns []string
	for i := range 1600 {
		columns = append(columns, fmt.Sprintf("repeat(E'a\\t%d', g * %d) c%d", i, i%3, i))
	}
	sameAsCopy(t, c, "SELECT "+strings.Join(columns, ", ")+" FROM generate_series(0, 100, 20) g", 1000, 1<<20, 16<<20)
}

func TestRowsOutRowOf100MB(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	t.Parallel()
	_, _, c := newDB(t)
	sameAsCopy(t, c, `SELECT v, i FROM (VALUES (1, 'a'), (2, repeat(E'x\\yz\n', 20000000)), (3, 'b')) t (i, v)`, 4<<20)
}

func TestRowsOutErrors(t *testing.T) {
	_, _, c := newDB(t)
	ctx := testContext(t)
	for _, rows := range []int{0, 10, 100_000} {
		o, err := rowsOut(t, ctx, c, fmt.Sprintf("SELECT repeat('x', 100), 1 / (%d - i) FROM generate_series(0, 200000) i", rows))
		if err == nil {
			_, err = readAll(t, ctx, o, make([]byte, 1<<20))
		}
		if code(err) != "22012" {
			t.Errorf("after %d rows: %v", rows, err)
		}
		usable(t, c)
	}
	for sql, want := range map[string]string{
		"SELECT * FROM public.nowhere":        "42P01",
		"SET search_path TO ''":               "rows expected, but the statement was: SET",
		"":                                    "rows expected",
		"COPY (SELECT 1) TO STDOUT":           "but the statement was: COPY 1",
		"COPY pg_catalog.pg_class FROM STDIN": "COPY FROM STDIN",
		"COPY (SELECT 1) TO STDOUT BINARY":    "but the statement was: COPY",
	} {
		if _, err := rowsOut(t, ctx, c, sql); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", sql, err)
		}
		usable(t, c)
	}
	mustExec(t, c, "BEGIN; DECLARE b BINARY CURSOR FOR SELECT 1")
	if _, err := rowsOut(t, ctx, c, "FETCH ALL FROM b"); err == nil || !strings.Contains(err.Error(), "binary") {
		t.Errorf("binary: %v", err)
	}
	mustExec(t, c, "ROLLBACK; SET client_encoding = 'SJIS'")
	if _, err := rowsOut(t, ctx, c, "SELECT 1"); err == nil || !strings.Contains(err.Error(), "SJIS") {
		t.Errorf("SJIS: %v", err)
	}
	usable(t, c)
}

// Results may be queued, an open one blocks the others, and what is left of it can be thrown away within a row.
func TestRowsOutInPipeline(t *testing.T) {
	_, _, c := newDB(t)
	ctx := testContext(t)
	if err := c.Send("SELECT 1", "COPY (SELECT 2) TO STDOUT", "SELECT 1/0", "SELECT repeat('x', 3000000) FROM generate_series(1, 3)", "SELECT 5"); err != nil {
		t.Fatal(err)
	}
	r, err := c.NextRowsOut(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.NextCopyOut(ctx); !errors.Is(err, ErrBusy) {
		t.Errorf("with rows on their way: %v", err)
	}
	if got, err := readAll(t, ctx, r, make([]byte, 100)); string(got) != "1\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	o, err := c.NextCopyOut(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readAll(t, ctx, o, make([]byte, 100)); string(got) != "2\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if r, err = c.NextRowsOut(ctx); code(err) != "22012" {
		t.Errorf("%v, %v", r, err)
	}
	if r, err = c.NextRowsOut(ctx); err != nil {
		t.Fatal(err)
	}
	if n, open, err := r.Fill(ctx, make([]byte, 1000)); n != 1000 || !open || err != nil {
		t.Errorf("%d, %v, %v", n, open, err)
	}
	if err := c.Drain(ctx); err != nil {
		t.Error(err)
	}
	if _, _, err := r.Fill(ctx, make([]byte, 1000)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("Fill of rows that were drained: %v", err)
	}
	usable(t, c)
}

// Several results gather in one buffer; a row that does not fit behind others waits for the next one.
func TestRowsOutGather(t *testing.T) {
	_, _, c := newDB(t)
	ctx := testContext(t)
	var want strings.Builder
	for i := range 50 {
		if err := c.Send(fmt.Sprintf(`SELECT repeat(E'a\t%d', g * %d) FROM generate_series(1, %d) g`, i, i%7*i, i%5)); err != nil {
			t.Fatal(err)
		}
		for g := range i % 5 {
			want.WriteString(strings.Repeat(fmt.Sprintf(`a\t%d`, i), (g+1)*(i%7*i)) + "\n")
		}
	}
	var got strings.Builder
	buf, used, wasOpen := make([]byte, 2000), 0, false
	give := func() { got.Write(buf[:used]); used = 0 }
	for c.Pending() > 0 {
		r, err := c.NextRowsOut(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for {
			n, open, err := r.FillAfter(ctx, buf, used)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if open && used > 0 || n == 0 && used == 0 {
				t.Fatalf("%d bytes behind %d, open %v", n, used, open)
			}
			if used += n; n == 0 || open || wasOpen {
				give()
			}
			wasOpen = open
		}
	}
	if give(); got.String() != want.String() {
		t.Errorf("%d bytes, want %d", got.Len(), want.Len())
	}
}

func TestRowsOutFaults(t *testing.T) {
	srv, db, c := newDB(t)
	const endless = "SELECT generate_series(1, 1000000000), repeat('x', 200)"
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	r, err := rowsOut(t, ctx, c, endless)
	for i := 0; err == nil; i++ {
		if i == 3 {
			cancel()
		}
		_, _, err = r.Fill(ctx, make([]byte, 1<<20))
	}
	if !errors.Is(err, context.Canceled) || c.Err() != nil {
		t.Errorf("cancelled: %v, %v", err, c.Err())
	}
	usable(t, c)

	c = connect(t, srv.Conninfo(db))
	r, err = rowsOut(t, testContext(t), c, endless)
	for i := 0; err == nil; i++ {
		if i == 3 {
			srv.QueryString(t, "postgres", fmt.Sprintf("SELECT pg_terminate_backend(%d)", c.PID()))
		}
		_, _, err = r.Fill(testContext(t), make([]byte, 1<<20))
	}
	lost(t, c, err)
}

// description is a RowDescription of n columns.
func description(n int) string {
	return frame(msgRowDescription, string(binary.BigEndian.AppendUint16(nil, uint16(n)))+strings.Repeat("c\x00"+strings.Repeat("\x00", 18), n))
}

func TestMalformedRows(t *testing.T) {
	t.Parallel()
	one, two := description(1), description(2)
	end := frame(msgCommandComplete, "SELECT 1\x00") + frame(msgReadyForQuery, "I")
	row := frame(msgDataRow, "\x00\x01\x00\x00\x00\x03r\tw")
	big := "\x00\x01\x7f\xff\xff\xff" + strings.Repeat("x", readBuffer)
	for name, tc := range map[string]struct {
		answer string
		want   error
	}{
		"good":               {one + row + end, io.EOF},
		"notice within":      {one + frame(msgNotice, "\x00") + row + frame(msgNotice, "\x00") + end, io.EOF},
		"one too few":        {one + end, ErrRowCount},
		"one too many":       {one + row + row + end, ErrRowCount},
		"not counted":        {one + row + strings.Replace(end, "\x0dSELECT 1", "\x0bSELECT", 1), io.EOF},
		"columns":            {two + row + end, ErrProtocol},
		"no number":          {one + frame(msgDataRow, "\x00") + end, ErrProtocol},
		"nothing":            {one + frame(msgDataRow, "") + end, ErrProtocol},
		"no length":          {one + frame(msgDataRow, "\x00\x01\x00\x00\x00") + end, ErrProtocol},
		"too long":           {one + frame(msgDataRow, "\x00\x01\x00\x00\x00\x04row") + end, ErrProtocol},
		"too short":          {one + frame(msgDataRow, "\x00\x01\x00\x00\x00\x02row") + end, ErrProtocol},
		"negative":           {one + frame(msgDataRow, "\x00\x01\xff\xff\xff\xfe") + end, ErrProtocol},
		"larger, too long":   {one + frame(msgDataRow, big) + end, ErrProtocol},
		"larger, too short":  {one + frame(msgDataRow, strings.Replace(big, "\x7f\xff\xff\xff", "\x00\x00\xff\xff", 1)) + end, ErrProtocol},
		"no description":     {row + end, ErrProtocol},
		"description cut":    {frame(msgRowDescription, "\x00\x01a\x00abc") + row + end, ErrProtocol},
		"description longer": {one[:len(one)-1] + end, ErrProtocol},
		"many columns":       {frame(msgRowDescription, "\xff\xff") + row + end, ErrProtocol},
		"second description": {one + row + one + end, ErrProtocol},
		"copy within":        {one + frame(msgCopyData, "row\n") + end, ErrProtocol},
		"ready at once":      {one + row + frame(msgReadyForQuery, "I"), ErrProtocol},
		"end of the world":   {one + row, ErrConnLost},
		"within a row":       {one + row[:len(row)-1], ErrConnLost},
	} {
		for _, size := range []int{1, 3, 4, 100, 1 << 20} {
			c := scripted(tc.answer)
			r, err := rowsOut(t, testContext(t), c, "SELECT")
			for err == nil {
				_, _, err = r.Fill(testContext(t), make([]byte, size))
			}
			if !errors.Is(err, tc.want) {
				t.Errorf("%s, buffer of %d: %v", name, size, err)
			}
		}
	}
}

// slowRow is textRow, done the plain way.
func slowRow(body []byte, columns int) (text []byte, ok bool) {
	if len(body) < 2 || int(binary.BigEndian.Uint16(body)) != columns {
		return nil, false
	}
	body = body[2:]
	for i := range columns {
		if len(body) < 4 {
			return nil, false
		}
		n := int(int32(binary.BigEndian.Uint32(body)))
		if body = body[4:]; n < -1 || n > len(body) {
			return nil, false
		}
		if i > 0 {
			text = append(text, '\t')
		}
		if n == -1 {
			text = append(text, `\N`...)
			continue
		}
		for _, b := range body[:n] {
			if i := strings.IndexByte("\b\f\n\r\t\v\\", b); i >= 0 {
				text = append(text, '\\', `bfnrtv\`[i])
			} else {
				text = append(text, b)
			}
		}
		body = body[n:]
	}
	return append(text, '\n'), len(body) == 0
}

// A hostile server gets an error; rows come out as the plain way writes them, in one piece and in small ones.
func FuzzRowsOut(f *testing.F) {
	f.Add([]byte("\x00\x02\x00\x00\x00\x03a\tb\xff\xff\xff\xff"), uint16(2), 5)
	f.Add([]byte("\x00\x01\x00\x00\x00\x12\\abcdefgh\nijklmno\x0b\x01"), uint16(1), 3)
	f.Add([]byte("\x00\x00"), uint16(0), 1)
	f.Add([]byte("\x00\x01\x7f\xff\xff\xff"), uint16(1), 1)
	f.Fuzz(func(t *testing.T, body []byte, columns uint16, size int) {
		columns %= 100
		want, ok := slowRow(body, int(columns))
		stream := description(int(columns)) + frame(msgDataRow, string(body)) + frame(msgDataRow, string(body)) +
			frame(msgCommandComplete, "SELECT 2\x00") + frame(msgReadyForQuery, "I")
		for _, size := range []int{1 + min(max(size, 0), 1000), 1 << 16} {
			c := scripted(stream)
			c.lengths, c.sent = []int{1}, 1
			r, err := c.nextRowsOut()
			var got []byte
			buf := make([]byte, size)
			for err == nil {
				var n int
				if n, _, err = r.Fill(t.Context(), buf); err == nil && n == 0 {
					t.Fatal("Fill gives nothing and no error")
				}
				got = append(got, buf[:n]...)
			}
			switch {
			case !ok && !errors.Is(err, ErrProtocol):
				t.Errorf("%q: %v", body, err)
			case ok && (!errors.Is(err, io.EOF) || string(got) != strings.Repeat(string(want), 2)):
				t.Errorf("%q in buffers of %d: %q, %v; want %q twice", body, size, got, err, want)
			}
		}
		// Whatever comes instead of rows.
		c := scripted(description(1) + string(body))
		c.lengths, c.sent = []int{1}, 1
		r, err := c.nextRowsOut()
		buf := make([]byte, 1+min(max(size, 0), 1000))
		for err == nil {
			var n int
			if n, _, err = r.Fill(t.Context(), buf); err == nil && n == 0 {
				t.Fatal("Fill gives nothing and no error")
			}
		}
	})
}

func TestEscapes(t *testing.T) {
	for b := range 256 {
		want := byte(0)
		if i := strings.IndexByte("\b\f\n\r\t\v\\", byte(b)); i >= 0 {
			want = `bfnrtv\`[i]
		}
		if len(escapes) != 256 || escapes[b] != want {
			t.Errorf("%d: %q, want %q", b, escapes[b], want)
		}
	}
}

// BenchmarkRowsOut compares both ways of the same rows.
func BenchmarkRowsOut(b *testing.B) {
	srv, db, c := newDB(b)
	srv.Exec(b, db, `CREATE TABLE t AS SELECT i AS id, i % 100000 AS customer, (i % 10000) / 100.0 AS price, 'row number ' || i AS name,
  '2024-01-01'::timestamptz + i * interval '1 minute' AS at, md5(i::text) AS hash, CASE WHEN i % 10 = 0 THEN NULL ELSE 'a comment with a tab	now and then' END AS comment
FROM generate_series(1, 1000000) i`)
	srv.Exec(b, db, "VACUUM ANALYZE t")
	buf := make([]byte, 4<<20)
	read := func(b *testing.B, o rowReader) {
		for {
			_, _, err := o.Fill(b.Context(), buf)
			if errors.Is(err, io.EOF) {
				b.SetBytes(int64(o.Bytes())) //nolint:gosec // small
				return
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("copy", func(b *testing.B) {
		for b.Loop() {
			o, err := c.CopyOut(b.Context(), "COPY public.t TO STDOUT")
			if err != nil {
				b.Fatal(err)
			}
			read(b, o)
		}
	})
	b.Run("rows", func(b *testing.B) {
		for b.Loop() {
			if err := c.Send("SELECT * FROM public.t"); err != nil {
				b.Fatal(err)
			}
			r, err := c.NextRowsOut(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			read(b, r)
		}
	})
}

// BenchmarkTextRow is the loop alone, without a server.
func BenchmarkTextRow(b *testing.B) {
	row := []byte("\x00\x05")
	for _, v := range []string{"4711", "row number 4711", "2024-01-01 00:00:00+00", strings.Repeat("0123456789abcdef", 2), "a\tb"} {
		row = append(binary.BigEndian.AppendUint32(row, uint32(len(v))), v...)
	}
	stream := []byte(strings.Repeat(frame(msgDataRow, string(row)), readBuffer/(headerLen+len(row))))
	s := &scanner{buf: make([]byte, readBuffer), w: len(stream)}
	copy(s.buf, stream)
	dst := make([]byte, 1<<20)
	b.SetBytes(int64(len(stream)))
	for b.Loop() {
		if s.r = 0; s.textRows(dst, 5) == 0 {
			b.Fatal("no rows")
		}
	}
}
