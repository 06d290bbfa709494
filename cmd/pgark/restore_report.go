package main

import (
	"slices"
	"strings"
	"time"

	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/verify"
	"github.com/pgark/pgark/wire"
)

// decodeRestore turns names, in the encoding of the archived database, into UTF-8.
func decodeRestore(r *fanout.RestoreResult, text textDecoder) {
	decodeFailures(r.Failures, text)
	decodeNotes(r.Notes, text)
	for i, w := range r.Warnings {
		r.Warnings[i] = text.String(w)
	}
	for i := range r.Mismatches {
		m := &r.Mismatches[i]
		m.Schema, m.Table, m.What = text.String(m.Schema), text.String(m.Table), text.String(m.What)
	}
}

func decodeFailures(failures []fanout.Failure, text textDecoder) {
	for i := range failures {
		e := &failures[i].Entry
		e.Schema, e.Name = text.String(e.Schema), text.String(e.Name)
		failures[i].Was = text.String(failures[i].Was)
		if err := failures[i].Err; err != nil {
			failures[i].Err = decodedError{err, text.String(err.Error())}
		}
	}
}

// summary tells what was done, and prints it as JSON if that was asked for.
func (o *restoreOptions) summary(r *fanout.RestoreResult, compared *verify.Report, took time.Duration) error {
	o.tellSummary(r, compared, took)
	if !o.json {
		return nil
	}
	return quietPipe(writeJSON(o.app.stdout, o.jsonSummary(r, compared, took)))
}

// tellSummary tells what was done, and lists what went wrong.
func (o *restoreOptions) tellSummary(r *fanout.RestoreResult, compared *verify.Report, took time.Duration) {
	o.tellNotes(r.Notes)
	for _, m := range r.Mismatches {
		o.app.say("table %s: %s", visible(wire.QualifiedName(m.Schema, m.Table)), m.What)
	}
	if compared != nil {
		for _, f := range compared.Findings {
			o.app.say("table %s: %s: %s", visible(f.Table), f.Class, f.Message)
		}
	}
	o.app.tell("restored into database %s: %s, %s, %s, %s in %s", visible(r.Database), plural(uint64(r.Objects), "object"),
		plural(uint64(r.Tables), "table"), plural(r.Rows, "row"), humanBytes(r.RawBytes), humanDuration(took))
	o.tellRedirect()
	if r.Route == fanout.RouteSegments || o.route == fanout.RouteSegments || len(r.RouteReason) > 0 && o.app.verbose > 0 {
		o.app.tell("route %s: %s", r.Route, r.RouteReason)
	}
	if compared != nil && compared.OK {
		o.app.tell("verified: %s read back, every digest is the archive's", plural(uint64(compared.Tables), "table"))
	}
}

func (o *restoreOptions) jsonSummary(r *fanout.RestoreResult, compared *verify.Report, took time.Duration) any {
	type failure struct {
		ID      int32  `json:"id"`
		Kind    string `json:"kind"`
		Schema  string `json:"schema"`
		Name    string `json:"name"`
		Was     string `json:"was,omitempty"` // with --redirect-schema: the name in the archive
		Made    bool   `json:"made"`          // the object is there, though not as in the archive: without its owner, or in another tablespace
		Message string `json:"message"`
	}
	type mismatch struct {
		Schema  string `json:"schema"`
		Table   string `json:"table"`
		Want    string `json:"want"`
		Got     string `json:"got"`
		Loaded  uint64 `json:"loaded"`
		Message string `json:"message"`
	}
	failures, mismatches := []failure{}, []mismatch{}
	for _, f := range slices.Concat(o.globalsFailed, r.Failures) { // as where roles and tablespaces are in the database's own archive
		e := &f.Entry
		failures = append(failures, failure{e.ID, e.Kind, e.Schema, e.Name, f.Was, f.Made(), f.Err.Error()})
	}
	for _, m := range r.Mismatches {
		mismatches = append(mismatches, mismatch{m.Schema, m.Table, m.Want.String(), m.Got.String(), m.Loaded, m.What})
	}
	return struct {
		OK         bool              `json:"ok"`
		Database   string            `json:"database"`
		Route      string            `json:"route"`
		Reason     string            `json:"route_reason"`
		Direct     int               `json:"direct_tables"`
		Objects    int               `json:"objects"`
		Tables     int               `json:"tables"`
		Rows       uint64            `json:"rows"`
		RawBytes   uint64            `json:"raw_bytes"`
		Failures   []failure         `json:"failures"`
		Mismatches []mismatch        `json:"mismatches"`
		Warnings   []string          `json:"warnings"`
		Notes      []note            `json:"translated"`
		Redirected map[string]string `json:"redirected,omitempty"`
		Verified   *verify.Report    `json:"verified,omitempty"`
		Seconds    float64           `json:"seconds"`
	}{
		r.OK() && len(o.globalsFailed) == 0 && (compared == nil || compared.OK), r.Database, r.Route, r.RouteReason, r.DirectTables, r.Objects, r.Tables, r.Rows, r.RawBytes,
		failures, mismatches, append([]string{}, r.Warnings...), jsonNotes(r.Notes), o.schemas, compared, took.Seconds(),
	}
}

// restoreVerdict is the error that ends the command with code 3 if something is not as in the archive.
func restoreVerdict(r *fanout.RestoreResult, compared *verify.Report) error {
	var parts []string
	made := 0
	for i := range r.Failures {
		if r.Failures[i].Made() {
			made++
		}
	}
	if n := len(r.Failures) - made; n > 0 {
		parts = append(parts, plural(uint64(n), "object")+" could not be restored")
	}
	if made > 0 {
		parts = append(parts, plural(uint64(made), "object")+" made, but not as in the archive")
	}
	differ := len(r.Mismatches)
	if compared != nil {
		differ = max(differ, len(compared.Findings))
	}
	if differ > 0 {
		parts = append(parts, plural(uint64(differ), "table")+" not as in the archive")
	}
	if len(parts) == 0 {
		return nil
	}
	return &foundError{message: strings.Join(parts, ", ") + ": see above"}
}
