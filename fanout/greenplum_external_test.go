package fanout_test

import (
	"testing"

	"github.com/pgark/pgark/fanout"
)

// testExternal: the rows of an external partition are not the database's. Nothing reads them, or needs what they are read from.
func (g *greenplum) testExternal(t *testing.T) {
	db := g.database(t, "external")
	g.exec(t, db, `CREATE TABLE public.parts (a int, b int) DISTRIBUTED BY (a) PARTITION BY RANGE (b) (START (0) END (30) EVERY (10));
INSERT INTO public.parts SELECT g, g % 20 FROM generate_series(1, 100) g;
CREATE EXTERNAL WEB TABLE public.elsewhere (a int, b int) EXECUTE 'exit 1' ON MASTER FORMAT 'csv';
ALTER TABLE public.parts EXCHANGE PARTITION FOR (25) WITH TABLE public.elsewhere WITHOUT VALIDATION;
DROP TABLE public.elsewhere;
CREATE TABLE public.wide (a int, b text) DISTRIBUTED BY (a);
INSERT INTO public.wide SELECT g, repeat(md5(g::text), 80000) FROM generate_series(1, 12) g;`)
	c := g.cluster(t, g.in(db))
	for _, route := range []string{fanout.RouteSegments, fanout.RouteCoordinator} {
		t.Run(route, func(t *testing.T) {
			file, res := g.dumpBy(t, c, route, fanout.DumpOptions{})
			if res.Summary.Rows != 112 {
				t.Errorf("%d rows in the archive, want 112", res.Summary.Rows)
			}
			g.verify(t, file, c, "")
			copied := g.database(t, "copy")
			for _, o := range []fanout.RestoreOptions{{SchemaOnly: true}, {DataOnly: true}} {
				o.Target, o.Jobs, o.Route, o.Discover = g.in(copied), 2, fanout.RouteAuto, discoverCluster
				restored, err := fanout.Restore(t.Context(), reader(t, file), o)
				if err != nil {
					t.Fatal(err)
				}
				checkRestored(t, restored)
			}
			g.verify(t, file, g.cluster(t, g.in(copied)), "")
		})
	}
}
