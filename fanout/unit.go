package fanout

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// unit is one piece of work: a table × a node × a range of it. Its rows become one stream.
type unit struct {
	info  archive.StreamInfo // Entry is bound when the stream is closed: the catalog may not be known yet
	sql   string             // the COPY ... TO STDOUT that yields the rows
	lock  string             // what it reads, as LOCK TABLE takes it; "" where that takes it not
	bytes uint64             // estimate, to put the largest first
	table *tally             // shared by the units of one table; the appender's
	blobs bool               // its rows are large objects

	wanted chan struct{} // of a [writeOrder]: closed when who writes comes to it
	opened chan *stream  // of a [writeOrder]: capacity 1, from who reads it to who writes it
}

// tally counts what is left of a table whose rows come in several units.
type tally struct {
	units int
	rows  uint64
}

// done takes one unit of rows off and tells whether it was the table's last.
func (t *tally) done(rows uint64) bool {
	t.units--
	t.rows += rows
	return t.units == 0
}

func (u *unit) name() string { return wire.QualifiedName(u.info.Schema, u.info.Table) }

const (
	// rangeMin is the smallest range worth a COPY of its own, in bytes of the table.
	rangeMin = 8 << 20
	// rangesPerJob is how many ranges each session gets of the largest table, so that all end at about the same time.
	rangesPerJob = 16
	// batchTables and batchBytes bound how many small tables one session asks for before it waits for the first answer.
	batchTables = 64
	batchBytes  = 4 << 20
)

// planTables cuts the parts into units, largest first: whole tables, then the ranges of those that are split, by which the sessions come to end
// at about the same time, then small tables. The parts of one table share a tally.
//
// No more is split than that takes, since a range costs the server more than its part of the whole. PostgreSQL reads a table of more than a quarter of
// shared_buffers through a small ring of buffers, but has none for ranges: these displace what others need, and each page is one that the
// session's process has not touched before. Of five tables of 1.7 GB with 1 GB of shared_buffers, where a page fault costs 15 µs, a dump with
// -j2 by ranges alone took 9.3 s of CPU in the kernel, with -j1 2.8 s.
func planTables(parts []part, jobs int, tallies map[uint32]*tally) []unit {
	var total uint64
	for i := range parts {
		total += parts[i].bytes
	}
	size := max(total/uint64(jobs*rangesPerJob), rangeMin)
	units := make([]unit, 0, len(parts))
	split := partsToSplit(parts, jobs, total)
	for i := range parts {
		p := &parts[i]
		ranges := uint64(1)
		if split[i] {
			ranges = min(p.bytes/size+1, max(p.pages, 1))
		}
		left := tallies[p.table.OID]
		if left == nil {
			left = &tally{}
			tallies[p.table.OID] = left
		}
		left.units += int(ranges)
		for i := range ranges {
			from, to := p.pages*i/ranges, p.pages*(i+1)/ranges
			u := partUnit(p, from, to, i == 0, i == ranges-1, p.bytes/ranges)
			u.table = left
			units = append(units, u)
		}
	}
	slices.SortStableFunc(units, func(a, b unit) int { return cmp.Compare(b.bytes, a.bytes) })
	return units
}

// partsToSplit says which parts are split, if there are several sessions to share them: those of more than a session's share, and of the others,
// smallest first, as many as level what the whole ones leave when they are given out, largest first. Only a part can be split whose server can
// read a ctid range without scanning everything.
func partsToSplit(parts []part, jobs int, total uint64) []bool {
	split := make([]bool, len(parts))
	if jobs <= 1 {
		return split
	}
	var order []int // of those that may be split
	var ranges uint64
	for i := range parts {
		switch p := &parts[i]; {
		case !p.split || p.where != "" || p.bytes < 2*rangeMin:
		case p.bytes > total/uint64(jobs):
			split[i] = true
			ranges += p.bytes
		default:
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(parts[a].bytes, parts[b].bytes) })
	n := sort.Search(len(order), func(n int) bool {
		more := ranges
		without := slices.Clone(split)
		for _, i := range order[:n] {
			without[i] = true
			more += parts[i].bytes
		}
		return more >= unlevel(parts, without, jobs)+total/levelSpare
	})
	for _, i := range order[:n] {
		split[i] = true
	}
	return split
}

// levelSpare is which part of all rows come in ranges at least, for sizes say only about how long a table takes.
const levelSpare = 8

// unlevel is how much it takes until all sessions have as much as the one with the most, after the parts but those without were given out whole.
func unlevel(parts []part, without []bool, jobs int) uint64 {
	var whole []uint64
	var sum uint64
	for i := range parts {
		if !without[i] {
			whole = append(whole, parts[i].bytes)
			sum += parts[i].bytes
		}
	}
	slices.Sort(whole)
	loads := make([]uint64, jobs)
	for _, bytes := range slices.Backward(whole) {
		least := 0
		for i := range loads {
			if loads[i] < loads[least] {
				least = i
			}
		}
		loads[least] += bytes
	}
	return slices.Max(loads)*uint64(jobs) - sum //nolint:gosec // jobs is positive
}

// partUnit reads pages [from, to) of a part. The first range has no lower and the last no upper bound.
func partUnit(p *part, from, to uint64, first, last bool, bytes uint64) unit {
	t := p.table
	u := unit{
		info: archive.StreamInfo{
			OID: t.OID, Node: p.node, Schema: t.Schema, Table: t.Name, Columns: t.Columns,
			Form: archive.FormText, Floats: t.Floats,
		},
		bytes: bytes, lock: p.lock,
	}
	if t.Floats != "" {
		u.info.Form = archive.FormFloats
	}
	where := p.where
	switch {
	case first && last:
	case first:
		where = fmt.Sprintf(" WHERE ctid < '(%d,0)'::pg_catalog.tid", to)
		u.info.Range = fmt.Sprintf("ctid [0,%d)", to)
	case last:
		where = fmt.Sprintf(" WHERE ctid >= '(%d,0)'::pg_catalog.tid", from)
		u.info.Range = fmt.Sprintf("ctid [%d,)", from)
	default:
		where = fmt.Sprintf(" WHERE ctid >= '(%d,0)'::pg_catalog.tid AND ctid < '(%d,0)'::pg_catalog.tid", from, to)
		u.info.Range = fmt.Sprintf("ctid [%d,%d)", from, to)
	}
	u.sql = p.copySQL(where)
	return u
}

// copySQL reads the rows. COPY of a table is faster than of a query, and reads no partitions or children.
func (p *part) copySQL(where string) string {
	columns := quoteColumns(p.columns)
	if name, only := strings.CutPrefix(p.from, "ONLY "); only && where == "" {
		if columns != "" {
			columns = " (" + columns + ")"
		}
		return "COPY " + name + columns + " TO STDOUT"
	}
	return "COPY (" + p.selectSQL(where) + ") TO STDOUT"
}

func (p *part) selectSQL(where string) string {
	return "SELECT " + quoteColumns(p.columns) + " FROM " + p.from + where
}

func quoteColumns(columns []string) string {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = wire.Ident(c)
	}
	return strings.Join(quoted, ", ")
}

// batches groups units: a large one alone, small ones together, to be asked for back to back.
func batches(units []unit) [][]unit {
	var all [][]unit
	var small []unit
	var bytes uint64
	for _, u := range units {
		if u.bytes >= batchBytes {
			all = append(all, []unit{u})
			continue
		}
		if len(small) == batchTables || bytes+u.bytes > batchBytes {
			all = append(all, small)
			small, bytes = nil, 0
		}
		small = append(small, u)
		bytes += u.bytes
	}
	if len(small) > 0 {
		all = append(all, small)
	}
	return all
}
