package fanout

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

// archiveRecipe says how makeArchive makes an archive of a database, apart from the good one.
type archiveRecipe struct {
	block  int                                                     // raw bytes of a block; 0 is archive.FrameTarget
	tamper func(table string, total archive.Digest) archive.Digest // what the index promises
	losses []archive.Loss                                          // as salvage notes them
	omit   func(table string) bool                                 // tables without a stream
	edit   func(e *archive.Entry)                                  // changes an entry of the catalog
	args   func(o *CatalogOptions)                                 // changes how pg_dump is run
	part   map[string]string                                       // by table: a query for one more stream, of columns b, a
}

// makeArchive writes an archive of a database that nobody writes to: the catalog of pg_dump and each table's rows. It is
// simpler than a dump, and can be made wrong.
func makeArchive(t *testing.T, srv *pgtest.Server, db string, recipe archiveRecipe) []byte {
	t.Helper()
	ctx := t.Context()
	conn := connectTo(t, srv, db)
	path, err := pgtest.FindClient(srv.BinDir(), "pg_dump")
	check(t, err)
	tool, err := FindPgDump(ctx, path, Dialect{VersionNum: conn.ServerVersionNum()})
	check(t, err)
	o := CatalogOptions{Conninfo: srv.Conninfo(db)}
	if recipe.args != nil {
		recipe.args(&o)
	}
	catalog, err := tool.Catalog(ctx, o)
	check(t, err)

	var out bytes.Buffer
	w, err := archive.NewWriter(&out, archive.WriterOptions{
		Codec: archive.CodecZstd, Created: time.Now(), Database: db, Tool: "test",
	})
	check(t, err)
	m := archiveMaker{w: w, conn: conn, recipe: recipe, buf: make([]byte, cmpOr(recipe.block, archive.FrameTarget))}
	m.enc, err = archive.NewEncoder(archive.CodecZstd, 0)
	check(t, err)
	defer m.enc.Close()
	m.blobs, err = largeObjectUnits(catalog)
	check(t, err)
	for i := range catalog.Entries {
		e := &catalog.Entries[i]
		if recipe.edit != nil {
			recipe.edit(e)
		}
		if recipe.omit == nil || !recipe.omit(e.Name) {
			check(t, m.entry(ctx, e))
		}
	}
	check(t, w.SetCatalog(catalog))
	check(t, w.SetMoment(&archive.Moment{Time: time.Now(), Route: "coordinator", Promise: "snapshot", Losses: recipe.losses}))
	_, err = w.Close()
	check(t, err)
	check(t, conn.Close(ctx))
	return out.Bytes()
}

func cmpOr(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// archiveMaker writes the streams of an archive.
type archiveMaker struct {
	w      *archive.Writer
	enc    *archive.Encoder
	conn   *wire.Conn
	recipe archiveRecipe
	buf    []byte
	blobs  []unit
}

// entry writes the rows of an entry, if it has any.
func (m *archiveMaker) entry(ctx context.Context, e *archive.Entry) error {
	switch e.Kind {
	case "TABLE DATA":
		info := archive.StreamInfo{Entry: e.ID, OID: e.OID, Schema: e.Schema, Table: e.Name, Form: archive.FormText}
		sql, _, _ := strings.Cut(e.Copy, " FROM stdin")
		if err := m.stream(ctx, info, sql+" TO STDOUT"); err != nil || m.recipe.part[e.Name] == "" {
			return err
		}
		info.Table, info.Columns = e.Name+"_part", []string{"b", "a"}
		return m.stream(ctx, info, "COPY ("+m.recipe.part[e.Name]+") TO STDOUT")
	case "BLOBS":
		for _, u := range m.blobs {
			if u.info.Entry == e.ID {
				return m.stream(ctx, u.info, u.sql)
			}
		}
	}
	return nil
}

// stream writes what a COPY TO yields.
func (m *archiveMaker) stream(ctx context.Context, info archive.StreamInfo, sql string) error {
	id, err := m.w.OpenStream(info)
	if err != nil {
		return err
	}
	out, err := m.conn.CopyOut(ctx, sql)
	if err != nil {
		return err
	}
	var total archive.Digest
	var hasher archive.RowHasher
	var frame archive.Frame
	raw := archive.Raw{Stream: id}
	for {
		n, open, err := out.Fill(ctx, m.buf)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		raw.Data, raw.More, raw.Digest = m.buf[:n], open, nil
		switch {
		case open || raw.Part > 0:
			row := raw.Data
			raw.Rows = 0
			if !open {
				raw.Rows, row = 1, row[:len(row)-1]
			}
			_, _ = hasher.Write(row)
			if !open {
				hasher.Done(&total)
			}
		default:
			raw.Digest = &total
		}
		if err := m.enc.Encode(&frame, raw); err != nil {
			return err
		}
		if err := m.w.Append(&frame); err != nil {
			return err
		}
		if open {
			raw.Part++
		} else {
			raw.Block, raw.Part = raw.Block+1, 0
		}
	}
	if m.recipe.tamper != nil {
		total = m.recipe.tamper(info.Table, total)
	}
	return m.w.CloseStream(id, total)
}

// open reads an archive from memory.
func openArchive(t *testing.T, b []byte) *archive.Reader {
	t.Helper()
	a, err := archive.NewReader(bytes.NewReader(b), int64(len(b)))
	check(t, err)
	return a
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func config(t *testing.T, srv *pgtest.Server, db string) *wire.Config {
	t.Helper()
	return parse(t, srv.Conninfo(db))
}

func parse(t *testing.T, conninfo string) *wire.Config {
	t.Helper()
	cfg, err := wire.ParseConfig(conninfo)
	check(t, err)
	return cfg
}

func wireDatabase(db string) wire.Overrides { return wire.Overrides{Database: db} }

func connectTo(t *testing.T, srv *pgtest.Server, db string) *wire.Conn {
	t.Helper()
	ctx := t.Context()
	encoding := srv.QueryString(t, db, "SHOW server_encoding")
	conn, err := wire.Connect(ctx, config(t, srv, db), wire.TextSettings(encoding))
	check(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(ctx)) })
	return conn
}

// restored restores into db and fails the test if anything at all went wrong, or anything was left behind.
func restored(t *testing.T, srv *pgtest.Server, db string, b []byte, o RestoreOptions) *RestoreResult {
	t.Helper()
	res, err := tryRestore(t, srv, db, b, o, defaultRestoreLimits())
	check(t, err)
	for _, f := range res.Failures {
		t.Errorf("failure: %v", f)
	}
	for _, m := range res.Mismatches {
		t.Errorf("mismatch: %+v", m)
	}
	if t.Failed() {
		t.FailNow()
	}
	return res
}

// tryRestore restores into db, and checks that neither a goroutine nor a session is left.
func tryRestore(t *testing.T, srv *pgtest.Server, db string, b []byte, o RestoreOptions, limits restoreLimits) (*RestoreResult, error) {
	t.Helper()
	if o.Target == nil {
		o.Target = config(t, srv, db)
	}
	var res *RestoreResult
	var err error
	leavesNothing(t, func() { res, err = restore(t.Context(), openArchive(t, b), o, limits) })
	srv.WaitNoSessions(t, db)
	return res, err
}

// smallLimits make small tables be loaded as large ones are.
func smallLimits() restoreLimits {
	return restoreLimits{freezeFrom: 1, shareFrom: 1 << 20, joinFrom: 1}
}

// schemaOf is the text of a database's schema as pg_dump gives it.
func schemaOf(t *testing.T, srv *pgtest.Server, db string) string {
	t.Helper()
	path, err := pgtest.FindClient(srv.BinDir(), "pg_dump")
	check(t, err)
	out, err := pgtest.Output(t, exec.CommandContext(t.Context(), path, "-s", "-d", srv.Conninfo(db)))
	check(t, err)
	return pgtest.WithoutKeys(string(out))
}

// sameSchema fails the test where two databases have different schemas.
func sameSchema(t *testing.T, srv *pgtest.Server, want, got string) {
	t.Helper()
	a, b := strings.Split(schemaOf(t, srv, want), "\n"), strings.Split(schemaOf(t, srv, got), "\n")
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("the schemas differ (-%s +%s):\n%s", want, got, diff)
	}
}

// sameRows fails the test where a table's rows, or the large objects, differ from what the archive holds.
func sameRows(t *testing.T, srv *pgtest.Server, db string, b []byte) {
	t.Helper()
	other := openArchive(t, makeArchive(t, srv, db, archiveRecipe{}))
	want, got := digestsOf(t, openArchive(t, b)), digestsOf(t, other)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows differ (-archive +database):\n%s", diff)
	}
}

func digestsOf(t *testing.T, a *archive.Reader) map[string]string {
	t.Helper()
	sums := make(map[string]archive.Digest)
	for _, s := range a.Streams() {
		name := wire.QualifiedName(s.Schema, s.Table)
		d := sums[name]
		d.Merge(s.Digest)
		sums[name] = d
	}
	texts := make(map[string]string, len(sums))
	for name, d := range sums {
		texts[name] = d.String()
	}
	return texts
}

// failedEntries names the entries that were not restored, sorted.
func failedEntries(res *RestoreResult) []string {
	var names []string
	for _, f := range res.Failures {
		names = append(names, describeEntry(&f.Entry))
	}
	slices.Sort(names)
	return names
}
