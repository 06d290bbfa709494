package fanout_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/internal/pgtest"
)

// TestStockOrder: what pg_restore -j must not run at the same time as a foreign key depends on the table that it names, however far below,
// and rights on what is in a schema depend on those on the schema.
func TestStockOrder(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, `CREATE TABLE parent (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parent FOR VALUES FROM (0) TO (10);
CREATE TABLE low PARTITION OF parent FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
CREATE TABLE lowest PARTITION OF low FOR VALUES FROM (10) TO (20);
CREATE INDEX ON low (id);
CREATE TABLE child (id int REFERENCES parent) PARTITION BY RANGE (id);
CREATE TABLE child_part PARTITION OF child FOR VALUES FROM (0) TO (10);
CREATE INDEX ON child (id);
CREATE SCHEMA s; CREATE TABLE s.t (id int); CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
GRANT USAGE ON SCHEMA s TO PUBLIC; GRANT SELECT ON s.t TO PUBLIC; GRANT INSERT (id) ON s.t TO PUBLIC; REVOKE ALL ON FUNCTION s.f() FROM PUBLIC`)
	var file pgtest.Memory
	dumpTo(t, srv.Conninfo(db), &file, fanout.DumpOptions{})
	custom := fanout.StockOptions{Format: fanout.FormatCustom, Codec: archive.CodecNone}
	var dumped, converted, again bytes.Buffer
	if _, err := fanout.DumpStock(t.Context(), fanout.StockTarget{Out: &dumped}, fanout.DumpOptions{Cluster: cluster(t, srv.Conninfo(db))}, custom); err != nil {
		t.Fatal(err)
	}
	for _, out := range []*bytes.Buffer{&converted, &again} {
		if _, err := fanout.ConvertArchive(t.Context(), reader(t, file.Bytes()), fanout.StockTarget{Out: out}, custom, nil); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(converted.Bytes(), again.Bytes()) {
		t.Error("converted twice, the bytes differ")
	}
	for how, out := range map[string]*bytes.Buffer{"dumped": &dumped, "converted": &converted} {
		toc, err := pgdump.ReadTOC(bytes.NewReader(out.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		tables := make(map[int32]string)
		for i := range toc.Entries {
			if e := &toc.Entries[i].Entry; e.Kind == "TABLE" {
				tables[e.ID] = e.Name
			}
		}
		var rights int32
		for i := range toc.Entries {
			if e := &toc.Entries[i].Entry; e.Kind == "ACL" && e.Name == "SCHEMA s" {
				rights = e.ID
			}
		}
		var after []string
		for i := range toc.Entries {
			if e := &toc.Entries[i].Entry; e.Kind == "ACL" && slices.Contains(e.Deps, rights) {
				after = append(after, e.Name)
			}
		}
		slices.Sort(after)
		if d := cmp.Diff([]string{"COLUMN t.id", "FUNCTION f()", "TABLE t"}, after); d != "" {
			t.Errorf("%s: after the rights on the schema come (-want +got)\n%s", how, d)
		}
		got := make(map[string]string)
		for i := range toc.Entries {
			e := &toc.Entries[i].Entry
			if e.Kind != "INDEX ATTACH" {
				continue
			}
			var of []string
			for _, id := range e.Deps {
				if name, ok := tables[id]; ok {
					of = append(of, name)
				}
			}
			slices.Sort(of)
			got[e.Name] = strings.Join(slices.Compact(of), " ") // pg_dump repeats some
		}
		want := map[string]string{
			"part_pkey": "parent part", "low_pkey": "low parent", "lowest_pkey": "low lowest parent",
			"lowest_id_idx": "low lowest parent", "child_part_id_idx": "child child_part",
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: indexes are attached to others with locks of (-want +got)\n%s", how, d)
		}
	}
}
