package wire

import (
	"strings"
	"testing"
)

// Settings that go with the request for the session shape its output, without a query.
func TestSettingsAtStartup(t *testing.T) {
	srv, db, _ := newDB(t)
	cfg, err := ParseConfig(srv.Conninfo(db))
	if err != nil {
		t.Fatal(err)
	}
	s := TextSettings("LATIN1")
	s.Startup = true
	c, err := Connect(testContext(t), cfg, s)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(testContext(t))
	for _, kv := range s.Set {
		if got := mustQuery(t, c, "SHOW "+kv[0]); got != kv[1] && (kv[1] != "" || got != `""`) {
			t.Errorf("%s is %q, want %q", kv[0], got, kv[1])
		}
	}
	if c.Encoding() != "LATIN1" || c.ServerVersionNum() != 0 {
		t.Errorf("encoding %q, version %d", c.Encoding(), c.ServerVersionNum())
	}
	s.Set[0][1] = ""
	own, err := Connect(testContext(t), cfg, s)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close(testContext(t))
	if own.Encoding() != "UTF8" {
		t.Errorf("encoding %q", own.Encoding())
	}
	s.Set = append(s.Set, [2]string{"no_such_parameter", "1"})
	if c, err := Connect(testContext(t), cfg, s); !IsConnect(err) {
		t.Errorf("unknown parameter: %v, %v", c, err)
	}
}

// A role's statement_timeout never runs against the query that takes it away.
func TestStatementTimeoutOfRole(t *testing.T) {
	srv, db, _ := newDB(t)
	role := "hasty_" + db
	srv.Exec(t, db, "CREATE ROLE "+role+" LOGIN; ALTER ROLE "+role+" SET statement_timeout = '1ms'")
	t.Cleanup(func() { srv.Exec(t, db, "DROP ROLE "+role) })
	cfg, err := ParseConfig(strings.Replace(srv.Conninfo(db), "user=postgres", "user="+role, 1) + " options='-c statement_timeout=2ms'")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Connect(testContext(t), cfg, TextSettings("UTF8"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(testContext(t))
	if got := mustQuery(t, c, "SELECT reset_val FROM pg_settings WHERE name = 'statement_timeout'"); got != "0" {
		t.Errorf("the session began with %s ms", got)
	}
}

// A session that is open takes settings on top of its own.
func TestApply(t *testing.T) {
	ctx := testContext(t)
	srv, db, _ := newDB(t)
	for _, tt := range []struct{ conninfo, want string }{
		{srv.Conninfo(db), "later"},
		{srv.Conninfo(db) + " application_name=own", "own"}, // what the user wants stays
	} {
		cfg, err := ParseConfig(tt.conninfo)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Connect(ctx, cfg, Settings{Set: [][2]string{{"work_mem", "7MB"}, {"DateStyle", "SQL, DMY"}}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(ctx)
		s := TextSettings("LATIN1")
		s.ApplicationName = "later"
		for range 2 {
			if err := c.Apply(ctx, s); err != nil {
				t.Fatal(err)
			}
		}
		for _, kv := range append(s.Set, [2]string{"work_mem", "7MB"}, [2]string{"application_name", tt.want}) {
			if got := mustQuery(t, c, "SHOW "+kv[0]); got != kv[1] && (kv[1] != "" || got != `""`) {
				t.Errorf("%s is %q, want %q", kv[0], got, kv[1])
			}
		}
		if c.Encoding() != "LATIN1" {
			t.Errorf("encoding %q", c.Encoding())
		}
		s.Set = [][2]string{{"no_such_parameter", "1"}}
		if err := c.Apply(ctx, s); err == nil {
			t.Error("an unknown parameter was applied")
		}
		s.Startup = true
		if err := c.Apply(ctx, s); err == nil {
			t.Error("settings of a session's begin were applied")
		}
		if got := mustQuery(t, c, "SHOW work_mem"); got != "7MB" {
			t.Errorf("after errors, work_mem is %s", got)
		}
	}
}
