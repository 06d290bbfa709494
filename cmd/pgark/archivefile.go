package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/verify"
)

// setOptions say where the volumes of a set are, and which archive of one of several databases is meant.
type setOptions struct {
	dir      string
	database string
}

func (o *setOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.dir, "volume-dir", "", "the volumes of a set are in this `directory` (default where the lead volume says, then beside it)")
	f.StringVar(&o.database, "database", "", "of an archive of all databases: the one of this `name`")
}

// lead says how to open an archive of which the lead volume is enough.
func (o *setOptions) lead() archive.OpenOptions {
	return archive.OpenOptions{LeadOnly: true, Database: o.database}
}

// all says how to open a whole archive.
func (o *setOptions) all() archive.OpenOptions {
	return archive.OpenOptions{VolumeDir: o.dir, Database: o.database}
}

// open opens an archive for a command that needs a whole one: of a set all volumes.
func (o *setOptions) open(path string) (*archive.File, error) {
	return openFiles(path, o.all())
}

// openPartial opens what is there of a set, for a command that says itself what is not.
func (o *setOptions) openPartial(path string) (*archive.File, error) {
	open := o.all()
	open.Partial = true
	return openFiles(path, open)
}

func openFiles(path string, o archive.OpenOptions) (*archive.File, error) {
	if err := refuseSource(path, "this"); err != nil {
		return nil, err
	}
	f, err := openNamed(path, o)
	var set *archive.SetError
	switch {
	case err == nil:
		return f, nil
	case errors.Is(err, archive.ErrCluster):
		return nil, withHint(pathError(path, err), "--database NAME takes one of them")
	case errors.As(err, &set): // which names what can't be opened
		return nil, withHint(err, absentHint(path, o.VolumeDir))
	case errors.Is(err, archive.ErrDamaged), errors.Is(err, archive.ErrTruncated):
		return nil, withHint(pathError(path, err),
			"`pgark verify` says what is wrong with it, `pgark salvage` saves what can still be read")
	}
	return nil, pathError(path, err)
}

// absentHint says what can be done with a set of which volumes are absent, and which tables it concerns.
func absentHint(path, dir string) string {
	hint := "--volume-dir says where the volumes are; "
	if a, err := archive.OpenWith(path, archive.OpenOptions{VolumeDir: dir, Partial: true}); err == nil {
		defer a.Close()
		if names := absentTables(a.Reader); len(names) > 0 {
			const most = 10
			more := ""
			if len(names) > most {
				more = fmt.Sprintf(" and %s", plural(uint64(len(names)-most), "other table"))
				names = names[:most]
			}
			hint += "without them, rows are lacking in " + strings.Join(names, ", ") + more + "; "
		}
	}
	return hint + "`pgark gather --partial` makes an archive of what is there, which can be restored"
}

// absentRows counts, by entry, the rows that a set has in volumes that are not open.
func absentRows(a *archive.Reader) map[int32]uint64 {
	rows := make(map[int32]uint64)
	for _, v := range a.Volumes() {
		if v.Err == nil {
			continue
		}
		for i := range v.Tables {
			if t := &v.Tables[i]; t.Blocks > 0 {
				rows[a.TableEntry(t)] += t.Digest.Rows
			}
		}
	}
	return rows
}

// absentTables names the tables that have rows in volumes which are not open, in the order of the catalog.
func absentTables(a *archive.Reader) []string {
	cat, err := a.Catalog()
	if err != nil {
		return nil
	}
	text := newTextDecoder(cat.Encoding)
	rows := absentRows(a)
	var names []string
	for i := range cat.Entries {
		e := &cat.Entries[i]
		if _, ok := rows[e.ID]; ok {
			names = append(names, visible(quotedName(text.String(e.Schema), text.String(e.Name))))
		}
	}
	return names
}

// pathError names the file, unless the error does so itself.
func pathError(path string, err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) || strings.HasPrefix(err.Error(), path) {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// openNamed is archive.OpenWith for a database that is named in UTF-8.
func openNamed(path string, o archive.OpenOptions) (*archive.File, error) {
	f, err := archive.OpenWith(path, o)
	if !errors.Is(err, archive.ErrNoDatabase) || !archive.IsCluster(path) {
		return f, err
	}
	if o.Database = rawDatabase(path, o.Database); o.Database == "" {
		return nil, err
	}
	return archive.OpenWith(path, o)
}

// archiveText decodes the names in an archive. Where the archive can't be opened, it takes them for UTF-8.
func archiveText(path string, o archive.OpenOptions) textDecoder {
	a, err := openNamed(path, o)
	if err != nil {
		return textDecoder{}
	}
	defer a.Close()
	cat, err := a.Catalog()
	if err != nil {
		return textDecoder{}
	}
	return newTextDecoder(cat.Encoding)
}

// holding is what an archive holds of one entry's rows: the totals of its streams.
type holding struct {
	digest  archive.Digest
	raw     uint64
	stored  uint64
	unknown bool // of a dump of another program: digest and raw are not known, stored only if it is not 0
}

func (h *holding) add(d archive.Digest, raw, stored uint64) {
	h.digest.Merge(d)
	h.raw += raw
	h.stored += stored
}

// holdings sums the streams of each TABLE DATA and BLOBS entry. Of volumes of a set that are not open, it is what the lead volume says.
func holdings(a *archive.Reader) map[int32]*holding {
	all := make(map[int32]*holding)
	of := func(entry int32) *holding {
		if all[entry] == nil {
			all[entry] = &holding{}
		}
		return all[entry]
	}
	for _, s := range a.Streams() {
		of(s.Entry).add(s.Digest, s.Raw, s.Stored)
	}
	for _, v := range a.Volumes() {
		if v.Err == nil {
			continue
		}
		for i := range v.Tables {
			t := &v.Tables[i]
			of(a.TableEntry(t)).add(t.Digest, t.Raw, t.Stored)
		}
	}
	return all
}

// sourceHoldings are those of a dump of another program: as its format tells, or as a survey of it has found.
func sourceHoldings(src archive.Source, cat *archive.Catalog, counted *verify.Survey) map[int32]*holding {
	all := make(map[int32]*holding)
	if r, ok := src.(archive.RowRefuser); ok {
		for i := range cat.Entries {
			if id := cat.Entries[i].ID; r.Refused(id) != nil {
				all[id] = &holding{unknown: true} // it has rows, and nobody can count them
			}
		}
	}
	if counted != nil {
		for _, s := range counted.Streams() {
			if all[s.Entry] == nil {
				all[s.Entry] = &holding{}
			}
			all[s.Entry].add(s.Digest, s.Raw, s.Stored)
		}
		return all
	}
	for i := range cat.Entries {
		id := cat.Entries[i].ID
		for _, s := range src.TableStreams(id) {
			if all[id] == nil {
				all[id] = &holding{unknown: true}
			}
			all[id].add(s.Digest, s.Raw, s.Stored)
		}
	}
	return all
}

// tableOfData maps each TABLE entry's ID to that of its TABLE DATA entry.
func tableOfData(cat *archive.Catalog) map[int32]int32 {
	kind := make(map[int32]string, len(cat.Entries))
	for i := range cat.Entries {
		kind[cat.Entries[i].ID] = cat.Entries[i].Kind
	}
	data := make(map[int32]int32)
	for i := range cat.Entries {
		e := &cat.Entries[i]
		if e.Kind != "TABLE DATA" {
			continue
		}
		for _, dep := range e.Deps {
			if isTableKind(kind[dep]) {
				data[dep] = e.ID
				break
			}
		}
	}
	return data
}

// isTableKind tells whether an entry of this kind makes something that holds rows.
func isTableKind(kind string) bool { return kind == "TABLE" || kind == "FOREIGN TABLE" }

// uniqueDeps returns the entry's dependencies that are in the catalog, each once, in ascending order. A stock TOC
// repeats some, and names some that it leaves out.
func uniqueDeps(e *archive.Entry, known map[int32]bool) []int32 {
	deps := make([]int32, 0, len(e.Deps))
	for _, d := range e.Deps {
		if known[d] {
			deps = append(deps, d)
		}
	}
	slices.Sort(deps)
	return slices.Compact(deps)
}
