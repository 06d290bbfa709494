package fanout_test

import (
	"strings"
	"testing"

	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
)

// Roles and tablespaces go with an archive, without passwords, and are made where they are not there.
func TestGlobals(t *testing.T) {
	t.Parallel()
	from, to := pgtest.Start(t), pgtest.Start(t)
	db := from.CreateDB(t)
	from.Exec(t, db, `CREATE ROLE "Odd; ""One""" LOGIN PASSWORD 'secret'; CREATE ROLE readers; CREATE ROLE boss LOGIN CONNECTION LIMIT 5;
GRANT readers TO boss WITH ADMIN OPTION; ALTER ROLE boss SET work_mem = '5MB'; COMMENT ON ROLE readers IS 'who reads; only';
CREATE SCHEMA s AUTHORIZATION boss; CREATE TABLE s.t AS SELECT 1 AS a; ALTER TABLE s.t OWNER TO "Odd; ""One"""; GRANT SELECT ON s.t TO readers`)
	to.Exec(t, "postgres", "CREATE ROLE boss NOLOGIN")
	a := dumpToMemory(t, fanout.DumpOptions{Cluster: discover(t, from.Conninfo(db)), Globals: true})
	cat, err := a.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, e := range cat.Entries {
		if e.Kind == "ROLE" {
			found++
			if strings.Contains(e.DDL, "PASSWORD") {
				t.Errorf("%q", e.DDL)
			}
		}
	}
	if found != 4 { // and the superuser
		t.Errorf("%d roles", found)
	}
	// Without being asked for they stay out.
	copied := to.CreateDB(t)
	r, err := fanout.Restore(t.Context(), a, fanout.RestoreOptions{Target: parseConfig(t, to.Conninfo(copied)), NoOwner: true, NoACL: true})
	if err != nil || !r.OK() || to.QueryString(t, "postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'readers'") != "0" {
		t.Errorf("%v, %+v", err, r)
	}
	copied = to.CreateDB(t)
	r, err = fanout.Restore(t.Context(), a, fanout.RestoreOptions{Target: parseConfig(t, to.Conninfo(copied)), Globals: true, ExitOnError: true})
	if err != nil || !r.OK() {
		t.Fatalf("%v, %+v", err, r)
	}
	for sql, want := range map[string]string{
		`SELECT rolcanlogin FROM pg_roles WHERE rolname = 'Odd; "One"'`:                                              "t",
		"SELECT rolcanlogin FROM pg_roles WHERE rolname = 'boss'":                                                    "f", // was there
		"SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = 'readers'":                         "who reads; only",
		"SELECT admin_option FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid WHERE r.rolname = 'readers'": "t",
		"SELECT tableowner FROM pg_tables WHERE schemaname = 's'":                                                    `Odd; "One"`,
	} {
		if got := to.QueryString(t, copied, sql); got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
	if w := strings.Join(r.Warnings, "\n"); !strings.Contains(w, "stay as they are") || !strings.Contains(w, "boss") {
		t.Errorf("warnings %q", w)
	}
	// A format of pg_dump has none, and says so.
	var notes []string
	writeStockFile(t, t.TempDir()+"/dump", fanout.FormatCustom, func(target fanout.StockTarget) error {
		sum, err := fanout.ConvertArchive(t.Context(), a, target, fanout.StockOptions{Format: fanout.FormatCustom}, nil)
		if err == nil {
			notes = sum.Notes
		}
		return err
	})
	if !strings.Contains(strings.Join(notes, ""), "roles and tablespaces") {
		t.Errorf("notes %q", notes)
	}
}
