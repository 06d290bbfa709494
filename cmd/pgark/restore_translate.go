package main

import (
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/fanout/topology"
)

// chooseTranslation decides whether definitions are translated: asked for, or because the archive is of Greenplum and the
// target is not.
func (o *restoreOptions) chooseTranslation(a contents, target *topology.Cluster) error {
	if o.toPostgres != "auto" {
		return nil
	}
	cat, err := a.Catalog()
	if err != nil {
		return err
	}
	o.translate = fanout.IsSegmentedCatalog(cat) && target.Layout != fanout.LayoutSegments
	if o.translate {
		o.app.tell("the archive is of %s, the target is %s %s: definitions are translated (--to-postgres)",
			cat.Product, target.Dialect.Product, target.Dialect.Version)
	}
	return nil
}

// tellTranslation tells what the translation for a script does not keep.
func (o *restoreOptions) tellTranslation(a contents) error {
	if !o.translate {
		return nil
	}
	plan, err := o.plan(a)
	if err != nil {
		return err
	}
	decodeNotes(plan.Notes, newTextDecoder(plan.Catalog.Encoding))
	o.tellNotes(plan.Notes)
	return nil
}

// tellNotes tells what a translation did not keep.
func (o *restoreOptions) tellNotes(notes []fanout.Note) {
	for _, n := range notes {
		if n.Lost {
			o.app.say("warning: %s", visible(n.String()))
			continue
		}
		o.app.tell("translated: %s", visible(n.String()))
	}
}

// decodeNotes turns names, in the encoding of the archived database, into UTF-8.
func decodeNotes(notes []fanout.Note, text textDecoder) {
	for _, n := range notes {
		for i, object := range n.Objects {
			n.Objects[i] = text.String(object)
		}
	}
}

// note is a note of a translation in JSON.
type note struct {
	What    string   `json:"what"`
	Why     string   `json:"why"`
	Lost    bool     `json:"lost"`
	Objects []string `json:"objects"`
}

func jsonNotes(notes []fanout.Note) []note {
	all := make([]note, len(notes))
	for i, n := range notes {
		all[i] = note{n.What, n.Why, n.Lost, n.Objects}
	}
	return all
}
