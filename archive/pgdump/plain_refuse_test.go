package pgdump

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// tiny changes one part of tinyScript.
func tiny(t *testing.T, from, to string) string {
	t.Helper()
	if !strings.Contains(tinyScript, from) {
		t.Fatalf("there is no %q in the script", from)
	}
	return strings.Replace(tinyScript, from, to, 1)
}

// What pg_dump does not write, and would do harm or be lost, is refused with a sentence that names it.
func TestPlainRefuses(t *testing.T) {
	head := "--\n-- PostgreSQL database dump\n--\n\n"
	tests := []struct {
		name, script string
		class        error
		says         string
	}{
		{"empty", "", ErrNotDump, "no statement"},
		{"comments only", "-- hello\n", ErrNotDump, "no statement"},
		{"custom", "PGDMP\x01\x0e\x00", ErrNotDump, "custom format"},
		{"utf-16", "\xff\xfe-\x00-\x00", ErrNotDump, "iconv"},
		{"pg_dumpall", "--\n-- PostgreSQL database cluster dump\n--\n\nSET x = 1;\n", ErrRefused, "pg_dumpall"},
		{"crlf", strings.ReplaceAll(tinyScript, "\n", "\r\n"), ErrRefused, "dos2unix"},
		{"crlf without title", "SET statement_timeout = 0;\r\nSELECT 1;\r\n", ErrRefused, "dos2unix"},
		{"shell", tiny(t, "\\restrict abc123\n", "\\! rm -rf /\n"), ErrDamaged, `\! rm -rf /`},
		{"shell in restricted mode", tiny(t, "COMMIT;\n", "COMMIT;\n\\! rm -rf /\n"), ErrDamaged, `\!`},
		{"include", head + "\\i /etc/passwd\n", ErrDamaged, `\i`},
		{"copy out", head + "\\copy t to program 'sh'\n", ErrDamaged, `\copy`},
		{"command within a statement", head + "SELECT 1 \\g /tmp/x\n;\n", ErrDamaged, "within a statement"},
		{"command behind a statement", head + "SELECT 1; \\! id\n", ErrDamaged, "within a line"},
		{"wrong key", tiny(t, "\\unrestrict abc123", "\\unrestrict abc124"), ErrDamaged, `\unrestrict`},
		{"no unrestrict", tiny(t, "\\unrestrict abc123\n", ""), ErrTruncated, `\unrestrict`},
		{"program", tiny(t, "FROM stdin", "FROM PROGRAM 'sh'"), ErrRefused, "running programs"},
		{"server file", tiny(t, "FROM stdin", "FROM '/etc/passwd'"), ErrRefused, "file of the server"},
		{"copy to", tiny(t, "COPY s.t (a, b) FROM stdin;", "COPY s.t TO PROGRAM 'sh';"), ErrRefused, "programs"},
		{"copy of a query", tiny(t, "COPY s.t (a, b) FROM stdin;", "COPY (SELECT 1) TO STDOUT;"), ErrRefused, "COPY of a table"},
		{"csv", tiny(t, "FROM stdin", "FROM stdin WITH (FORMAT csv)"), ErrRefused, "without options"},
		{"where", tiny(t, "FROM stdin", "FROM stdin WHERE a > 1"), ErrRefused, "without options"},
		{"rest of the line", tiny(t, "FROM stdin;", "FROM stdin; SELECT 1;"), ErrDamaged, "all of its line"},
		{"zero byte in rows", tiny(t, "two", "t\x00o"), ErrDamaged, "zero byte"},
		{"zero byte in a statement", tiny(t, "integer", "inte\x00er"), ErrDamaged, "zero byte"},
		{"rows without end", tiny(t, "\\.\n", ""), ErrTruncated, "do not end"},
		{"open string", head + "SELECT 'abc\n", ErrTruncated, "string"},
		{"open name", head + "SELECT \"abc\n", ErrTruncated, "quoted name"},
		{"open dollar quote", head + "SELECT $a$abc$b$\n", ErrTruncated, "$a$"},
		{"open comment", head + "/* /* */\n", ErrTruncated, "comment"},
		{"open statement", head + "SELECT 1\n", ErrTruncated, "statement"},
		{"date style", tiny(t, "SET standard", "SET DateStyle = 'German';\nSET standard"), ErrRefused, "DateStyle"},
		{"replication role", tiny(t, "SET standard", "SET session_replication_role = replica;\nSET standard"), ErrRefused, "session_replication_role"},
		{"encoding changes", tiny(t, "BEGIN;\n", "SET client_encoding = 'UTF8';\n"), ErrRefused, "encoding"},
		{"strings change", tiny(t, "BEGIN;\n", "SET standard_conforming_strings = off;\n"), ErrRefused, "standard_conforming_strings"},
		{"search path changes", tiny(t, "BEGIN;\n", "SET search_path = s;\n"), ErrRefused, "search path"},
		{"rollback", tiny(t, "COMMIT;", "ROLLBACK;"), ErrRefused, "ROLLBACK"},
		{"another database", tiny(t, "\\restrict abc123\n", "\\connect other\n"), ErrRefused, "connect"},
		{"two dumps", strings.Repeat(head+"SELECT 1;\n--\n-- PostgreSQL database dump complete\n--\n", 2), ErrRefused, "two dumps"},
		{"table after rows", tiny(t, "BEGIN;\n", "CREATE TABLE late (a integer);\n"), ErrRefused, "order of pg_dump"},
		{"table said to be rows", tiny(t, "Type: TABLE; Schema: s", "Type: TABLE DATA; Schema: s"), ErrRefused, "order of pg_dump"},
		{"table said to be large objects", tiny(t, "Type: TABLE; Schema: s", "Type: BLOBS; Schema: s"), ErrRefused, "order of pg_dump"},
		{"lowrite elsewhere", tiny(t, "SELECT pg_catalog.lo_open('7', 131072);\n", ""), ErrDamaged, "wrong place"},
		{"lo_close missing", tiny(t, "SELECT pg_catalog.lo_close(0);\n", ""), ErrTruncated, "not closed"},
		{"lowrite of a function", tiny(t, `'\x6162'`, `pg_read_binary_file('/etc/passwd')`), ErrDamaged, "lowrite"},
		{"odd hex", tiny(t, `'\x6162'`, `'\x616'`), ErrDamaged, "lowrite"},
		{"insert of another form", tiny(t, "INSERT INTO s.u", "INSERT s.u"), ErrRefused, "INSERT"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := readScript(t.Context(), strings.NewReader(tt.script), int64(len(tt.script)))
			if !errors.Is(err, tt.class) || !strings.Contains(fmt.Sprint(err), tt.says) {
				t.Errorf("got %v, want %v with %q", err, tt.class, tt.says)
			}
		})
	}
}
