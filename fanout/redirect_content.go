package fanout

import (
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// streams are the streams of an entry, with the names of the tables as they are restored.
func (r *restoreRun) streams(entry int32) []archive.Stream {
	return RedirectStreams(r.content.TableStreams(entry), r.opts.Redirect)
}

// RedirectStreams gives a copy of streams, as they are after a restore with [PlanOptions].Redirect.
func RedirectStreams(streams []archive.Stream, to map[string]string) []archive.Stream {
	if len(to) == 0 {
		return streams
	}
	streams = slices.Clone(streams)
	for i := range streams {
		if target, ok := to[streams[i].Schema]; ok {
			streams[i].Schema = target
		}
	}
	return streams
}

// RedirectTables gives a copy of a catalog with the schemas of its entries as they are after such a restore. Their definitions stay.
func RedirectTables(cat *archive.Catalog, to map[string]string) *archive.Catalog {
	if len(to) == 0 {
		return cat
	}
	cat = ownCatalog(cat, 0)
	for i := range cat.Entries {
		if target, ok := to[cat.Entries[i].Schema]; ok {
			cat.Entries[i].Schema = target
		}
	}
	return cat
}

// redirectMoment gives a copy of a moment with what it says of tables.
func redirectMoment(m *archive.Moment, to map[string]string) *archive.Moment {
	own := *m
	own.Losses, own.Distributions = slices.Clone(m.Losses), slices.Clone(m.Distributions)
	for i := range own.Losses {
		if target, ok := to[own.Losses[i].Schema]; ok {
			own.Losses[i].Schema = target
		}
	}
	for i := range own.Distributions {
		d := &own.Distributions[i]
		if target, ok := to[d.Schema]; ok {
			d.Schema = target
		}
		d.OpClasses = slices.Clone(d.OpClasses)
		for k, class := range d.OpClasses {
			if schema, name, ok := strings.Cut(class, "."); ok && to[schema] != "" {
				d.OpClasses[k] = to[schema] + "." + name
			}
		}
	}
	return &own
}

// wasName is the name that a redirected entry has in the archive, "" if it has that still.
func (p *Plan) wasName(id int32) string {
	was, ok := p.was[id]
	switch {
	case !ok:
		return ""
	case was.schema == "":
		return was.table
	}
	return was.schema + "." + was.table
}
