package wire

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pgark/pgark/internal/pgtest"
)

func TestSessionFacts(t *testing.T) {
	srv, db, c := newDB(t)
	if got, want := fmt.Sprint(c.PID()), mustQuery(t, c, "SELECT pg_backend_pid()"); got != want {
		t.Errorf("PID %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(c.ServerVersionNum()), srv.QueryString(t, db, "SHOW server_version_num"); got != want {
		t.Errorf("version %s, want %s", got, want)
	}
	if got, want := c.ServerVersion(), srv.QueryString(t, db, "SHOW server_version"); got != want {
		t.Errorf("version %s, want %s", got, want)
	}
	if want := fmt.Sprintf("host=%s port=%d dbname=%s user=postgres", srv.Host(), srv.Port(), db); c.Addr() != want {
		t.Errorf("Addr %s, want %s", c.Addr(), want)
	}
	if c.InTransaction() != 'I' {
		t.Errorf("state %q", c.InTransaction())
	}
	mustExec(t, c, "BEGIN")
	if c.InTransaction() != 'T' {
		t.Errorf("state %q in a transaction", c.InTransaction())
	}
	if _, err := c.Exec(testContext(t), "SELECT 1/0"); code(err) != "22012" {
		t.Errorf("division by zero: %v", err)
	}
	if c.InTransaction() != 'E' {
		t.Errorf("state %q in a failed transaction", c.InTransaction())
	}
}

// A role's and a database's own settings, and the environment, must not change what a dump reads.
func TestTextSettings(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t, pgtest.Encoding("LATIN1"))
	srv.Exec(t, db, "ALTER DATABASE "+db+` SET DateStyle = 'German'; ALTER DATABASE `+db+` SET statement_timeout = '1min';
		ALTER DATABASE `+db+` SET extra_float_digits = -2; ALTER DATABASE `+db+` SET TimeZone = 'Asia/Tokyo'`)
	t.Setenv("PGCLIENTENCODING", "UTF8")
	t.Setenv("PGDATESTYLE", "SQL")
	t.Setenv("PGOPTIONS", "-c lock_timeout=77 -c bytea_output=escape")
	c := connect(t, srv.Conninfo(db))
	got, err := c.QueryStrings(testContext(t), `SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN
		('DateStyle', 'IntervalStyle', 'TimeZone', 'extra_float_digits', 'search_path', 'row_security', 'statement_timeout',
		'lock_timeout', 'idle_in_transaction_session_timeout', 'synchronize_seqscans', 'client_encoding', 'bytea_output')
		ORDER BY name COLLATE "C"`)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"DateStyle", "ISO, MDY"},
		{"IntervalStyle", "postgres"},
		{"TimeZone", "UTC"},
		{"bytea_output", "hex"},
		{"client_encoding", "LATIN1"},
		{"extra_float_digits", "3"},
		{"idle_in_transaction_session_timeout", "0"},
		{"lock_timeout", "0"},
		{"row_security", "off"},
		{"search_path", ""},
		{"statement_timeout", "0"},
		{"synchronize_seqscans", "off"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if c.Encoding() != "LATIN1" {
		t.Errorf("encoding %s", c.Encoding())
	}
	if got := mustQuery(t, c, "SELECT pg_catalog.chr(228)"); got != "\xe4" {
		t.Errorf("ä in LATIN1 is %q", got)
	}
	if utf8, err := Connect(testContext(t), c.Config(), TextSettings("UTF8")); err != nil {
		t.Error(err)
	} else {
		defer utf8.Close(testContext(t))
		if got := mustQuery(t, utf8, "SELECT pg_catalog.chr(228)"); got != "ä" {
			t.Errorf("ä in UTF8 is %q", got)
		}
	}
}

func TestQuery(t *testing.T) {
	t.Parallel()
	_, _, c := newDB(t)
	ctx := testContext(t)
	var got []string
	err := c.Query(ctx, "SELECT 'a', NULL, ''; SELECT 'b'", func(row Row) error {
		for i := range row.Len() {
			got = append(got, fmt.Sprintf("%s/%v", row.Get(i), row.IsNull(i)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a/false", "/true", "/false", "b/false"}, got); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}

	stop := errors.New("enough")
	calls := 0
	err = c.Query(ctx, "SELECT generate_series(1, 100000)", func(Row) error {
		if calls++; calls == 3 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || calls != 3 {
		t.Errorf("%v after %d calls", err, calls)
	}

	if tag := mustExec(t, c, "CREATE TABLE public.t (a int); INSERT INTO public.t SELECT generate_series(1, 42)"); tag.Rows != 42 || tag.Text != "INSERT 0 42" {
		t.Errorf("tag %+v", tag)
	}
	if tag := mustExec(t, c, ""); tag != (Tag{}) {
		t.Errorf("tag of nothing %+v", tag)
	}
	if n := len(mustQuery(t, c, "SELECT repeat('x', 100000000)")); n != 100_000_000 {
		t.Errorf("%d bytes came of a value of 100 MB", n)
	}
	for _, sql := range []string{"SELECT 1, 2", "SELECT 1 WHERE false", "SELECT generate_series(1, 2)"} {
		if v, err := c.QueryString(ctx, sql); err == nil {
			t.Errorf("%s gave one value: %q", sql, v)
		}
	}
	if _, err := c.Exec(ctx, "SELECT 1; \x00 DROP TABLE public.t"); err == nil {
		t.Error("a statement with a NUL was taken")
	}
	if _, err := c.Exec(ctx, "COPY public.t TO STDOUT"); err == nil || !strings.Contains(err.Error(), "COPY TO STDOUT") {
		t.Errorf("Exec of COPY TO: %v", err)
	}
	if _, err := c.Exec(ctx, "COPY public.t FROM STDIN"); err == nil || !strings.Contains(err.Error(), "COPY FROM STDIN") {
		t.Errorf("Exec of COPY FROM: %v", err)
	}
	usable(t, c)
}

func TestServerError(t *testing.T) {
	_, _, c := newDB(t)
	_, err := c.Exec(testContext(t), `DO $$ BEGIN RAISE EXCEPTION 'no' USING DETAIL = 'the detail', HINT = 'the hint',
		ERRCODE = '42501', TABLE = 'tab', SCHEMA = 'sch', COLUMN = 'col', CONSTRAINT = 'con', DATATYPE = 'typ'; END $$`)
	var e *ServerError
	if !errors.As(err, &e) {
		t.Fatalf("no ServerError: %v", err)
	}
	want := ServerError{
		Severity: "ERROR", Code: "42501", Message: "no", Detail: "the detail", Hint: "the hint", Where: e.Where,
		Table: "tab", Schema: "sch", Column: "col", Constraint: "con", DataType: "typ",
	}
	if diff := cmp.Diff(want, *e); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	text := "ERROR: no (SQLSTATE 42501)\ndetail: the detail\nhint: the hint\nwhere: PL/pgSQL function inline_code_block line 1 at RAISE"
	if e.Error() != text {
		t.Errorf("text:\n%s\nwant:\n%s", e.Error(), text)
	}
	if !IsPermission(err) || IsUndefined(err) || IsConnect(err) || IsConnLost(err) {
		t.Errorf("wrong class of %v", err)
	}
	if _, err := c.Exec(testContext(t), "TABLE public.nowhere"); !IsUndefined(err) {
		t.Errorf("a missing table: %v", err)
	}
	usable(t, c)
}

func TestNotices(t *testing.T) {
	_, _, c := newDB(t)
	var got []string
	c.OnNotice = func(n *Notice) { got = append(got, n.Severity+" "+n.Message) }
	mustExec(t, c, "DO $$ BEGIN RAISE WARNING 'careful'; RAISE NOTICE 'not wanted'; END $$")
	mustExec(t, c, "LISTEN a; NOTIFY a")
	mustExec(t, c, "SET application_name TO 'renamed'")
	if diff := cmp.Diff([]string{"WARNING careful"}, got); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
	if got := c.Parameter("application_name"); got != "renamed" {
		t.Errorf("application_name %q", got)
	}
}

func TestQuoting(t *testing.T) {
	_, _, c := newDB(t)
	mustExec(t, c, "SET standard_conforming_strings TO off; SET escape_string_warning TO off")
	for _, s := range []string{"", "plain", "it's", `back\slash`, `\'; DROP`, `"quoted"`, "a\nb\tc", "ä€😀", `E'\\`} {
		if got := mustQuery(t, c, "SELECT"+Literal(s)); got != s {
			t.Errorf("Literal(%q) = %s is %q", s, Literal(s), got)
		}
		if s == "" {
			continue
		}
		if got := mustQuery(t, c, "SELECT q.* FROM (SELECT 1 AS "+Ident(s)+") q"); got != "1" {
			t.Errorf("Ident(%q) = %s", s, Ident(s))
		}
	}
	if got := QualifiedName("a b", `c"d`); got != `"a b"."c""d"` {
		t.Error(got)
	}
	if got := QualifiedName("", "t"); got != `"t"` {
		t.Error(got)
	}
}

func TestEndedContextSendsNothing(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	proxy := pgtest.NewProxy(t, srv.TCPAddr())
	c := connect(t, proxy.Conninfo(db))
	before, _ := proxy.Passed()
	ctx, cancel := context.WithCancel(testContext(t))
	cancel()
	_, err1 := c.Exec(ctx, "SELECT 1")
	_, err2 := c.CopyOut(ctx, "COPY (SELECT 1) TO STDOUT")
	_, err3 := c.CopyIn(ctx, "COPY pg_class FROM STDIN")
	_, err4 := Connect(ctx, c.Config(), Settings{})
	for _, err := range []error{err1, err2, err3, err4} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	}
	if after, _ := proxy.Passed(); after != before {
		t.Errorf("%d bytes were sent", after-before)
	}
	usable(t, c)
}

// In these encodings a character's last byte may be a backslash, which does not escape what follows.
func TestQuotingInSession(t *testing.T) {
	_, _, c := newDB(t)
	for encoding, texts := range map[string][]string{
		"SJIS":           {"\x95\x5cn", "\x95\x5c", "\x83\x5c'", "\x95\x5c\\", "\\\x95\x5c", "\xb1\\n", "\xb1\xb1\\'"},
		"SHIFT_JIS_2004": {"\x95\x5cn", "\xb1\\n"},
		"BIG5":           {"\xa6\xa8\xa5\x5c", "\xa5\x5cn\\n", "it's\\"},
		"GBK":            {"\x81\x5c", "\x81\x5ct\\t'"},
		"GB18030":        {"\x81\x5cn", "\x81\x30\x81\x30\\n", "\x81\x30\x81\x30\x81\x5c'"},
		"UHC":            {"\xb0\xa1\\n'"},
		"UTF8":           {"ä\\n'"},
	} {
		mustExec(t, c, "SET client_encoding TO '"+encoding+"'")
		for _, std := range []string{"on", "off"} {
			mustExec(t, c, "SET standard_conforming_strings TO "+std)
			for _, s := range texts {
				if got := mustQuery(t, c, "SELECT"+c.Literal(s)); got != s {
					t.Errorf("%s: %q as %s is %q", encoding, s, c.Literal(s), got)
				}
			}
		}
	}
	for _, s := range []string{"\x95'; DROP", "\x95", "\x95\\", "\x95\x95\\'"} { // no characters: the server says so
		mustExec(t, c, "SET client_encoding TO 'SJIS'")
		if got, err := c.QueryString(testContext(t), "SELECT"+c.Literal(s)); err == nil && got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
}
