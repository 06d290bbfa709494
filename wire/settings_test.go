package wire

import "testing"

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
