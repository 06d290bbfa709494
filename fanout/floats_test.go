package fanout

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

// Floats are found however deep they are, and told from what only looks like one.
func TestFloatColumns(t *testing.T) {
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, `
CREATE SCHEMA "s x";
CREATE DOMAIN "s x".d4 AS real;
CREATE DOMAIN "s x".d44 AS "s x".d4;
CREATE DOMAIN "s x".da AS float8[];
CREATE TYPE "s x".r8 AS RANGE (subtype = float8);
CREATE TYPE "s x".rd AS RANGE (subtype = "s x".d44);
CREATE TYPE "s x".c AS (a int, b real);
CREATE TYPE "s x".cc AS (a int, b "s x".c[]);
CREATE TYPE "s x".plain AS (a int, b text);
CREATE TYPE "s x".point AS (a int);
CREATE TABLE scalars (a int, b real, c float8, d numeric, e money, f text, g name, h oidvector, i int2vector);
ALTER TABLE scalars DROP COLUMN d, ADD COLUMN d real;
CREATE TABLE shapes (p point, l lseg, h path, b box, y polygon, n line, c circle, a point[]);
CREATE TABLE domains (a "s x".d4, b "s x".d44, c "s x".da, d "s x".d44[]);
CREATE TABLE ranges (a "s x".r8, b "s x".r8[], c "s x".rd, d numrange, e int4range[]);
CREATE TABLE rows (a "s x".c, b "s x".cc, c "s x".plain, d "s x".cc[], e "s x".point, f "s x".d4);
CREATE TABLE generated (a int, b float8 GENERATED ALWAYS AS (1) STORED, c float8);
CREATE TABLE none (a int, b text[], c json);
CREATE TABLE nothing ();
CREATE TABLE kids (x real) INHERITS (none);`)
	cfg, err := wire.ParseConfig(srv.Conninfo(db))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := wire.Connect(t.Context(), cfg, wire.TextSettings(""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	rows, err := conn.QueryStrings(t.Context(), `SELECT c.oid, c.relname FROM pg_catalog.pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace`)
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[uint32]string)
	var oids []uint32
	for _, r := range rows {
		oid, err := strconv.ParseUint(r[0], 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		names[uint32(oid)] = r[1]
		oids = append(oids, uint32(oid))
	}
	floats, err := FloatColumns(t.Context(), conn, oids, Dialect{GeneratedColumns: true})
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for oid, f := range floats {
		got[names[oid]] = f
	}
	want := map[string]string{
		"scalars": "-48-----4", "shapes": "88888888", "domains": "4484", "ranges": "884--", "rows": "??-?-4", "generated": "-8", "kids": "---4",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if none, err := FloatColumns(t.Context(), conn, nil, Dialect{}); err != nil || len(none) > 0 {
		t.Error(none, err)
	}
}
