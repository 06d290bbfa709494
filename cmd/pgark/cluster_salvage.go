package main

import (
	"errors"
	"fmt"

	"github.com/pgark/pgark/archive"
)

// salvagedClusterJSON is what was kept and lost of an archive of several databases.
type salvagedClusterJSON struct {
	OK        bool                   `json:"ok"`
	Blocks    int                    `json:"blocks"`
	Rows      uint64                 `json:"rows"`
	RawBytes  uint64                 `json:"raw_bytes"`
	Databases []salvagedDatabaseJSON `json:"databases"`
	Losses    []inspectLoss          `json:"losses"`
	Notes     []string               `json:"notes"`
}

// salvagedDatabaseJSON is one of the databases: sound and copied as it is, saved in part, or lost.
type salvagedDatabaseJSON struct {
	Database string        `json:"database"`
	State    string        `json:"state"`            // sound, salvaged, lost
	Report   *salvagedJSON `json:"report,omitempty"` // of one that is salvaged
}

// reportCluster says what was kept and lost of an archive of several databases.
func (o *salvageOptions) reportCluster(r *archive.ClusterSalvage) error {
	texts := databaseTexts(o.file)
	j := salvagedClusterJSON{
		Blocks: r.Summary.Blocks, Rows: r.Summary.Rows, RawBytes: r.Summary.RawBytes,
		Databases: []salvagedDatabaseJSON{}, Losses: []inspectLoss{}, Notes: []string{},
	}
	lost := len(r.Losses) > 0 || len(r.Notes) > 0
	for i := range r.Databases {
		d := &r.Databases[i]
		one := salvagedDatabaseJSON{Database: texts[""].String(d.Name), State: "sound"}
		switch {
		case d.Lost:
			one.State, lost = "lost", true
		case d.Report != nil:
			bad := somethingLost(d.Report)
			lost = lost || bad
			decodeSalvage(d.Report, texts[d.Name])
			report := salvageJSON(d.Report, !bad)
			one.State, one.Report = "salvaged", &report
		}
		j.Databases = append(j.Databases, one)
	}
	for _, l := range r.Losses {
		j.Losses = append(j.Losses, inspectLoss{l.Schema, l.Table, l.Blocks, l.Rows, texts[""].String(l.Message)})
	}
	for _, n := range r.Notes {
		j.Notes = append(j.Notes, texts[""].String(n))
	}
	j.OK = !lost
	var err error
	if o.json {
		err = writeJSON(o.app.stdout, j)
	} else if o.file != "-" {
		err = o.printCluster(&j, r)
	}
	if err := quietPipe(err); err != nil {
		return err
	}
	if lost {
		return &foundError{message: fmt.Sprintf("saved to %s, but something is lost", o.file)}
	}
	o.app.tell("saved to %s, nothing is lost", o.file)
	return nil
}

func (o *salvageOptions) printCluster(j *salvagedClusterJSON, r *archive.ClusterSalvage) error {
	out := &errWriter{w: o.app.stdout}
	var errs []error
	for i, d := range j.Databases {
		what := map[string]string{"sound": "sound, copied as it is", "lost": "nothing is left of it", "salvaged": "salvaged"}[d.State]
		fmt.Fprintf(out, "database %s: %s\n", visible(d.Database), what)
		if report := r.Databases[i].Report; report != nil && len(report.Tables) > 0 {
			errs = append(errs, printTables(out, report))
		}
	}
	for _, l := range j.Losses {
		fmt.Fprintf(out, "lost: %s\n", visible(l.String()))
	}
	for _, n := range j.Notes {
		fmt.Fprintf(out, "note: %s\n", visible(n))
	}
	fmt.Fprintf(out, "saved: %s, %s, %s of rows\n", plural(uint64(len(j.Databases)), "database"), plural(j.Rows, "row"), humanBytes(j.RawBytes))
	return errors.Join(append(errs, out.err)...)
}
