package fanout

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
)

// showGlobals is one line for each entry: ID, kind, name, dependencies, and the statements.
func showGlobals(entries []archive.Entry) []string {
	var lines []string
	for _, e := range entries {
		lines = append(lines, fmt.Sprintf("%d %s|%s|%v|%s", e.ID, e.Kind, e.Name, e.Deps, strings.ReplaceAll(e.DDL, "\n", "~")))
	}
	return lines
}

const postgresGlobals = `--
-- PostgreSQL database cluster dump
--

\restrict k3Y

SET default_transaction_read_only = off;

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;

--
-- Roles; not a statement
--

CREATE ROLE ann;
ALTER ROLE ann WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:x;y' VALID UNTIL '2040-01-01 00:00:00+00';
COMMENT ON ROLE ann IS 'a "role";
\connect x
-- no comment';
CREATE ROLE "Odd; ""One""";
ALTER ROLE "Odd; ""One""" WITH SUPERUSER ENCRYPTED PASSWORD 'md5;';
SECURITY LABEL FOR 'dummy' ON ROLE "Odd; ""One""" IS 'secret';

--
-- User Config "ann"
--

ALTER ROLE ann SET work_mem TO '8MB';
ALTER ROLE ann SET search_path TO 'a', 'b c';
ALTER ROLE "all" SET x TO '1';

GRANT "Odd; ""One""" TO ann WITH ADMIN OPTION GRANTED BY postgres;
GRANT pg_monitor TO "Odd; ""One""" WITH INHERIT FALSE GRANTED BY ann;

GRANT ALTER SYSTEM ON PARAMETER log_statement TO ann WITH GRANT OPTION;
GRANT SET ON PARAMETER log_statement TO "Odd; ""One""";
GRANT SET ON PARAMETER my.var TO ann;

CREATE TABLESPACE fast OWNER ann LOCATION '/fast;';
ALTER TABLESPACE fast SET (seq_page_cost=2);
REVOKE ALL ON TABLESPACE fast FROM ann;
GRANT ALL ON TABLESPACE fast TO ann;
SET SESSION AUTHORIZATION ann;
GRANT ALL ON TABLESPACE fast TO "Odd; ""One""" WITH GRANT OPTION;
RESET SESSION AUTHORIZATION;
COMMENT ON TABLESPACE fast IS E'\\;';

ALTER ROLE ann IN DATABASE shop SET statement_timeout TO '5s';
CREATE FUTURE thing (a; b) FOR ann;
ALTER ROLE nobody WITH LOGIN;

\unrestrict k3Y

--
-- PostgreSQL database cluster dump complete
--
`

func TestParseGlobals(t *testing.T) {
	g := parseGlobals(postgresGlobals, 101, false)
	want := []string{
		`101 ROLE|ann|[]|CREATE ROLE ann;~ALTER ROLE ann WITH NOSUPERUSER LOGIN VALID UNTIL '2040-01-01 00:00:00+00';~`,
		`102 COMMENT|ROLE ann|[101]|COMMENT ON ROLE ann IS 'a "role";~\connect x~-- no comment';~`,
		`103 ROLE|Odd; "One"|[]|CREATE ROLE "Odd; ""One""";~ALTER ROLE "Odd; ""One""" WITH SUPERUSER;~`,
		`104 SECURITY LABEL|ROLE "Odd; ""One"""|[103]|SECURITY LABEL FOR 'dummy' ON ROLE "Odd; ""One""" IS 'secret';~`,
		`105 ROLE SETTING|ann|[101]|ALTER ROLE ann SET work_mem TO '8MB';~ALTER ROLE ann SET search_path TO 'a', 'b c';~`,
		`106 ROLE SETTING|all|[]|ALTER ROLE "all" SET x TO '1';~`,
		`107 ROLE MEMBERSHIP|"Odd; ""One""" TO ann|[103 101]|GRANT "Odd; ""One""" TO ann WITH ADMIN OPTION GRANTED BY postgres;~`,
		`108 ROLE MEMBERSHIP|pg_monitor TO "Odd; ""One"""|[103 101]|GRANT pg_monitor TO "Odd; ""One""" WITH INHERIT FALSE GRANTED BY ann;~`,
		`109 PARAMETER ACL|log_statement|[101 103]|GRANT ALTER SYSTEM ON PARAMETER log_statement TO ann WITH GRANT OPTION;~GRANT SET ON PARAMETER log_statement TO "Odd; ""One""";~`,
		`110 PARAMETER ACL|my.var|[101]|GRANT SET ON PARAMETER my.var TO ann;~`,
		`111 TABLESPACE|fast|[101]|CREATE TABLESPACE fast OWNER ann LOCATION '/fast;';~ALTER TABLESPACE fast SET (seq_page_cost=2);~`,
		`112 ACL|TABLESPACE fast|[111 101 103]|REVOKE ALL ON TABLESPACE fast FROM ann;~GRANT ALL ON TABLESPACE fast TO ann;~SET SESSION AUTHORIZATION ann;~GRANT ALL ON TABLESPACE fast TO "Odd; ""One""" WITH GRANT OPTION;~RESET SESSION AUTHORIZATION;~`,
		`113 COMMENT|TABLESPACE fast|[111]|COMMENT ON TABLESPACE fast IS E'\\;';~`,
		`114 ROLE SETTING|ann IN DATABASE shop|[101]|ALTER ROLE ann IN DATABASE shop SET statement_timeout TO '5s';~`,
		`115 GLOBAL|CREATE FUTURE thing|[101]|CREATE FUTURE thing (a; b) FOR ann;~`,
		`116 GLOBAL|ALTER ROLE nobody|[]|ALTER ROLE nobody WITH LOGIN;~`,
	}
	if d := cmp.Diff(want, showGlobals(g.entries)); d != "" {
		t.Error(d)
	}
	for _, e := range g.entries {
		if !e.Global() || e.Section != archive.SectionNone || e.Nulls != globalNulls {
			t.Errorf("%+v", e)
		}
	}
	with := parseGlobals(postgresGlobals, 1, true)
	if ddl := with.entries[0].DDL; !strings.Contains(ddl, "PASSWORD 'SCRAM-SHA-256$4096:x;y' VALID") {
		t.Error(ddl)
	}
}

// The pg_dumpall of Greenplum 6 has no switch that leaves out passwords, and puts settings for one database among the rest.
const greenplumGlobals = `SET default_transaction_read_only = off;

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;

--
-- Resource Queues
--

ALTER RESOURCE QUEUE pg_default ACTIVE THRESHOLD 20 NOOVERCOMMIT
 WITH ( priority=medium,
 memory_limit='-1') ;
CREATE RESOURCE QUEUE slow COST THRESHOLD 10.00 NOOVERCOMMIT;


ALTER RESOURCE GROUP admin_group SET cpu_rate_limit 1;
ALTER RESOURCE GROUP admin_group SET concurrency 10;
CREATE RESOURCE GROUP rg WITH (concurrency=5, cpu_rate_limit=10, memory_limit=5, memory_auditor=vmtracker);


CREATE ROLE etl;
ALTER ROLE etl WITH NOSUPERUSER LOGIN PASSWORD 'md5abc' RESOURCE QUEUE slow RESOURCE GROUP rg CREATEEXTTABLE (protocol='gpfdist', type='readable') CREATEEXTTABLE (protocol='http');
ALTER ROLE etl SET gp_x TO '1';

ALTER ROLE etl DENY BETWEEN DAY 0 TIME '00:00:00' AND DAY 1 TIME '24:00:00';

CREATE TABLESPACE ts OWNER etl LOCATION '/ts';

ALTER ROLE etl IN DATABASE shop SET x TO 'y';


--
-- PostgreSQL database cluster dump complete
--
`

func TestParseGlobalsGreenplum(t *testing.T) {
	g := parseGlobals(greenplumGlobals, 1, false)
	want := []string{
		"1 RESOURCE QUEUE|pg_default|[]|ALTER RESOURCE QUEUE pg_default ACTIVE THRESHOLD 20 NOOVERCOMMIT~ WITH ( priority=medium,~ memory_limit='-1');~",
		"2 RESOURCE QUEUE|slow|[]|CREATE RESOURCE QUEUE slow COST THRESHOLD 10.00 NOOVERCOMMIT;~",
		"3 RESOURCE GROUP|admin_group|[]|ALTER RESOURCE GROUP admin_group SET cpu_rate_limit 1;~ALTER RESOURCE GROUP admin_group SET concurrency 10;~",
		"4 RESOURCE GROUP|rg|[]|CREATE RESOURCE GROUP rg WITH (concurrency=5, cpu_rate_limit=10, memory_limit=5, memory_auditor=vmtracker);~",
		"5 ROLE|etl|[2 4]|CREATE ROLE etl;~ALTER ROLE etl WITH NOSUPERUSER LOGIN RESOURCE QUEUE slow RESOURCE GROUP rg CREATEEXTTABLE (protocol='gpfdist', type='readable') CREATEEXTTABLE (protocol='http');~ALTER ROLE etl DENY BETWEEN DAY 0 TIME '00:00:00' AND DAY 1 TIME '24:00:00';~",
		"6 ROLE SETTING|etl|[5]|ALTER ROLE etl SET gp_x TO '1';~",
		"7 TABLESPACE|ts|[5]|CREATE TABLESPACE ts OWNER etl LOCATION '/ts';~",
		"8 ROLE SETTING|etl IN DATABASE shop|[5]|ALTER ROLE etl IN DATABASE shop SET x TO 'y';~",
	}
	if d := cmp.Diff(want, showGlobals(g.entries)); d != "" {
		t.Error(d)
	}
	// What only Greenplum has does not go to a PostgreSQL.
	cat := &archive.Catalog{Product: "Greenplum", Entries: g.entries}
	plain, notes := ToPostgres(cat)
	want = []string{
		"5 ROLE|etl|[2 4]|CREATE ROLE etl;~ALTER ROLE etl WITH NOSUPERUSER LOGIN;~", want[5], want[6], want[7],
	}
	if d := cmp.Diff(want, showGlobals(plain.Entries)); d != "" || len(notes) == 0 {
		t.Error(d, notes)
	}
}

// Cloudberry's pg_dumpall writes system catalogs, by numbers of this server, and former passwords whatever it is told.
func TestParseGlobalsCloudberry(t *testing.T) {
	const text = `SET standard_conforming_strings = on;
CREATE PROFILE p1 LIMIT FAILED_LOGIN_ATTEMPTS 3;
CREATE ROLE ann;
ALTER ROLE ann WITH LOGIN;
ALTER ROLE ann WITH PROFILE p1; 
SET allow_system_table_mods = true;
UPDATE pg_authid SET rolenableprofile = 'f', rolaccountstatus = 0 WHERE oid = 16384; 
RESET allow_system_table_mods;
SET allow_system_table_mods = true;
INSERT INTO pg_catalog.pg_password_history VALUES( 16384, 'x', 'md5secret');
INSERT INTO pg_catalog.pg_password_history VALUES( 16384, 'y', 'md5older');
RESET allow_system_table_mods;
`
	var log strings.Builder
	g := parseGlobals(text, 1, false)
	g.warn(slog.New(slog.NewTextHandler(&log, nil)))
	want := []string{
		"1 GLOBAL|CREATE PROFILE p1|[]|CREATE PROFILE p1 LIMIT FAILED_LOGIN_ATTEMPTS 3;~",
		"2 ROLE|ann|[]|CREATE ROLE ann;~ALTER ROLE ann WITH LOGIN;~ALTER ROLE ann WITH PROFILE p1;~",
		"3 GLOBAL|UPDATE pg_authid SET|[]|SET allow_system_table_mods = true;~UPDATE pg_authid SET rolenableprofile = 'f', rolaccountstatus = 0 WHERE oid = 16384;~RESET allow_system_table_mods;~",
	}
	if d := cmp.Diff(want, showGlobals(g.entries)); d != "" || !strings.Contains(log.String(), "2 statements on former passwords") {
		t.Error(d, log.String())
	}
	g = parseGlobals(text, 1, true)
	if len(g.entries) != 4 || !strings.HasSuffix(g.entries[3].DDL, "'md5older');\nRESET allow_system_table_mods;\n") || strings.Count(g.entries[3].DDL, "INSERT") != 2 {
		t.Error(showGlobals(g.entries))
	}
}

// Without standard_conforming_strings a backslash hides the quote behind it.
func TestParseGlobalsNonStandard(t *testing.T) {
	const text = "SET standard_conforming_strings = off;\nSET escape_string_warning = off;\nCREATE ROLE a;\nCOMMENT ON ROLE a IS 'it\\'s; x';\nCREATE ROLE b;\n"
	g := parseGlobals(text, 1, false)
	if len(g.entries) != 3 || g.std || g.entries[1].DDL != "COMMENT ON ROLE a IS 'it\\'s; x';\n" {
		t.Errorf("%q", showGlobals(g.entries))
	}
}

// What begins and never ends is kept, too.
func TestParseGlobalsCutOff(t *testing.T) {
	for text, want := range map[string]string{
		"CREATE ROLE a": "CREATE ROLE a;\n", "SET x = 1; CREATE y": "SET x = 1;\nCREATE y;\n", "SET x = 1": "SET x = 1;\n",
		"RESET y;": "RESET y;\n", "SET x = 1; RESET x;": "SET x = 1;\nRESET x;\n",
		"SET a = 1; SET b = 2; CREATE c; RESET b;": "SET a = 1;\nSET b = 2;\nCREATE c;\nRESET b;\n",
		"\\restrict": "", ";;": "", "": "", "CREATE ROLE 'x": "CREATE ROLE 'x;\n",
	} {
		var all strings.Builder
		for _, e := range parseGlobals(text, 1, false).entries {
			all.WriteString(e.DDL)
		}
		if all.String() != want {
			t.Errorf("%q: %q, want %q", text, all.String(), want)
		}
	}
}

func TestSettingValue(t *testing.T) {
	for in, want := range map[[2]string]string{
		{"work_mem", "8MB"}: "'8MB'", {"x", "it's"}: "'it''s'", {"search_path", `a, "b c", "d""e", ""`}: `'a', 'b c', 'd"e', ''`,
		{"search_path", `"$user", public`}: `'$user', 'public'`, {"search_path", ""}: "''", {"Temp_Tablespaces", `a,"b ,c" , d`}: `'a', 'b ,c', 'd'`,
		{"search_path", `"cut`}: "'cut'",
	} {
		if got := settingValue(in[0], in[1], true); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestAddGlobals(t *testing.T) {
	cat := &archive.Catalog{Entries: []archive.Entry{{ID: 7, Kind: "TABLE", Deps: []int32{3}}, {ID: 3, Kind: "SCHEMA"}}}
	globals := &archive.Catalog{Entries: parseGlobals("CREATE ROLE a; CREATE ROLE b; GRANT a TO b;", 1, false).entries}
	globals.Entries = append(globals.Entries, archive.Entry{ID: 9, Kind: "STDSTRINGS"})
	AddGlobals(cat, globals)
	want := []string{
		"8 ROLE|a|[]|CREATE ROLE a;~", "9 ROLE|b|[]|CREATE ROLE b;~", "10 ROLE MEMBERSHIP|a TO b|[8 9]|GRANT a TO b;~", "7 TABLE||[3]|", "3 SCHEMA||[]|",
	}
	if d := cmp.Diff(want, showGlobals(cat.Entries)); d != "" {
		t.Error(d)
	}
	if globals.Entries[2].Deps[0] != 1 {
		t.Error("the given entries were changed")
	}
	if n := len(GlobalEntries(cat)); n != 3 {
		t.Error(n)
	}
	for globals, want := range map[bool]int{false: 2, true: 5} {
		p, err := NewPlan(cat, PlanOptions{Globals: globals})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(p.Steps); n > want || globals && p.Steps[0].Entry.Kind != kindRole {
			t.Errorf("%d steps", n)
		}
		if i := slices.IndexFunc(p.Steps, func(s *Step) bool { return s.Entry.Global() }); (i >= 0) != globals {
			t.Error("step", i)
		}
	}
}

// A pg_dump without the pg_dumpall of its release says what to install.
func TestDumpallMissing(t *testing.T) {
	dir := t.TempDir()
	tool := PgDump{Path: filepath.Join(dir, "pg_dump"), Version: "15.3", Major: 15}
	_, err := tool.dumpall(t.Context())
	if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "postgresql-client-15") {
		t.Error(err)
	}
	script := "#!/bin/sh\necho 'pg_dumpall (PostgreSQL) 14.2 (Debian)'\n"
	if err := os.WriteFile(filepath.Join(dir, "pg_dumpall"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err = tool.dumpall(t.Context()); err == nil || !strings.Contains(err.Error(), "is of version 14.2 (Debian)") {
		t.Error(err)
	}
	tool.Version = "14.2 (Debian)"
	if got, err := tool.dumpall(t.Context()); err != nil || got.path != filepath.Join(dir, "pg_dumpall") {
		t.Error(got, err)
	}
	segmented := dumpallTool{dump: PgDump{Major: 9, Segmented: true}}
	if args := strings.Join(segmented.args("host=x", &GlobalsOptions{}), " "); args != "--globals-only --no-password --dbname=host=x --resource-queues --resource-groups" {
		t.Error(args)
	}
}

// Whatever the text is, every entry is one of the server, no password is left, and no statement is lost on the way.
func FuzzGlobals(f *testing.F) {
	for _, s := range []string{postgresGlobals, greenplumGlobals, "SET x = 1; RESET", "\\restrict a\nCREATE ROLE a;\n\\unrestrict a"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, text string, passwords bool) {
		g := parseGlobals(text, 1, passwords)
		seen := map[int32]bool{}
		for i := range g.entries {
			e := &g.entries[i]
			if !e.Global() || e.ID != int32(i)+1 || e.DDL == "" {
				t.Fatalf("%+v", e)
			}
			seen[e.ID] = true
			for _, id := range e.Deps {
				if id <= 0 || int(id) > len(g.entries) || id == e.ID {
					t.Fatalf("%+v", e)
				}
			}
			if passwords || strings.Contains(text, "standard_conforming_strings") {
				continue
			}
			for _, s := range lexStatements(e.DDL, g.std) {
				for k := range s.tokens {
					if s.is(k, "PASSWORD") && k+1 < len(s.tokens) && s.tokens[k+1].kind == tokenString {
						t.Fatalf("a password is left: %q", e.DDL)
					}
				}
			}
		}
		all, later := globalsText(g.entries)
		for _, e := range g.entries {
			if !strings.Contains(all, e.DDL) && !strings.Contains(later, e.DDL) {
				t.Fatalf("%q is not in the script", e.DDL)
			}
		}
	})
}
