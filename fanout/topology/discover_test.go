package topology

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDialects(t *testing.T) {
	for _, c := range []struct {
		banner  string
		num     int
		product string
		ranges  bool
	}{
		{"PostgreSQL 13.22 on x86_64-pc-linux-gnu", 130022, "PostgreSQL", false},
		{"PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu", 150018, "PostgreSQL", true},
		{"PostgreSQL 9.4.26 (Greenplum Database 6.24.3 build dev) on x86_64", 90426, "Greenplum", false},
		{"PostgreSQL 14.4 (Apache Cloudberry 2.0.0 build dev) on x86_64", 140004, "Apache Cloudberry", false},
	} {
		d := dialect(c.banner, "", c.num)
		if d.Product != c.product || d.TIDRangeScan != c.ranges || !d.ExportSnapshot {
			t.Errorf("%s: %+v", c.banner, d)
		}
	}
}

func TestDiscover(t *testing.T) {
	srv := pgtest.Shared(t)
	cfg, err := wire.ParseConfig(srv.Conninfo(srv.CreateDB(t)))
	if err != nil {
		t.Fatal(err)
	}
	c, err := Discover(t.Context(), cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Dialect.Product != "PostgreSQL" || c.Dialect.VersionNum < oldest || len(c.Nodes) != 0 {
		t.Errorf("%+v", c)
	}
	for _, r := range c.Routes {
		if r.Works != (r.Name == "coordinator") || r.Reason == "" {
			t.Errorf("%+v", r)
		}
	}
}

// TestUnsupportedServersHaveNoRoute keeps a dump from being tried where it would promise too much.
func TestUnsupportedServersHaveNoRoute(t *testing.T) {
	for _, d := range []Dialect{{Product: "PostgreSQL", VersionNum: 110022}} {
		for _, r := range singleRoutes(d) {
			if r.Works || r.Reason == "" {
				t.Errorf("%+v: %+v", d, r)
			}
		}
	}
}
