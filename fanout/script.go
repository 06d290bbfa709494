package fanout

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/archive/pgdump"
)

// ScriptOptions says what a script restores, and how.
type ScriptOptions struct {
	PlanOptions
	SingleTransaction bool

	// RestrictKey is the key between \restrict and \unrestrict, letters and digits; "" makes a random one. The
	// key keeps whoever made the archive from giving commands to the psql that runs the script, so it must not be
	// known to them.
	RestrictKey string
	// NoRestrict leaves both out, for a psql from before August 2025 that does not know them.
	NoRestrict bool

	Warn func(message string) // told what is left out that the options select; nil: nobody
}

// WriteScript writes an archive as SQL for psql: the text that pg_restore of the release whose pg_dump gave the
// catalog would write with the same switches, rows included. It does not close w. What it has written when it fails
// has no end, and psql notices where a COPY is cut off, but nothing else: don't keep it.
func WriteScript(ctx context.Context, a *archive.Reader, w io.Writer, o ScriptOptions) error {
	return WriteScriptFrom(ctx, ArchiveSource(a), w, o)
}

// WriteScriptFrom is [WriteScript] for any source.
func WriteScriptFrom(ctx context.Context, src Source, w io.Writer, o ScriptOptions) error {
	if o.SingleTransaction && o.Create {
		return fmt.Errorf("%w: a database can't be created in a transaction", ErrUsage)
	}
	cat, err := src.Catalog()
	if err != nil {
		return fmt.Errorf("read the catalog: %w", err)
	}
	plan, err := NewPlan(cat, o.PlanOptions)
	if err != nil {
		return err
	}
	if err := plan.lookIntoRows(ctx, src); err != nil {
		return err
	}
	if w := plan.withoutCatalogStatistics(); w != "" && o.Warn != nil {
		o.Warn(w)
	}
	s := &script{w: bufio.NewWriterSize(w, 64<<10), src: src, plan: plan, single: o.SingleTransaction}
	if s.key, err = restrictKey(&o); err != nil {
		return err
	}
	if err := s.write(ctx); err != nil {
		return err
	}
	if err := s.w.Flush(); err != nil {
		return fmt.Errorf("write the script: %w", err)
	}
	return nil
}

const restrictKeyLength = 63

func restrictKey(o *ScriptOptions) (string, error) {
	switch {
	case o.NoRestrict:
		return "", nil
	case o.RestrictKey == "":
		return rand.Text() + rand.Text() + rand.Text()[:restrictKeyLength-52], nil
	case strings.Trim(o.RestrictKey, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
		return "", fmt.Errorf("%w: a restrict key has letters and digits only", ErrUsage)
	default:
		return o.RestrictKey, nil
	}
}

// script writes one script. Errors of w are sticky, and seen when rows are written and at the end.
type script struct {
	w      *bufio.Writer
	src    Source
	plan   *Plan
	state  State
	single bool
	key    string // of \restrict; "" for none

	superuser bool // the script has become the one that psql connects as, to disable triggers

	members map[int32]string // of a tar archive: the files that the server is to read an entry's data from; nil if the data is in the script
}

func (s *script) print(parts ...string) {
	for _, p := range parts {
		s.w.WriteString(p) //nolint:errcheck // sticky, reported by Flush
	}
}

// write writes it all: what every session sets, the drops, and each pass.
func (s *script) write(ctx context.Context) error {
	cat := s.plan.Catalog
	s.print("--\n-- PostgreSQL database dump\n--\n\n")
	if s.key != "" {
		s.print(`\restrict `, s.key, "\n\n")
	}
	s.print("-- Dumped from database version ", sanitizeLine(pgdump.VersionWithProduct(cat)), "\n")
	s.print("-- Dumped by pg_dump version ", sanitizeLine(cat.PgDumpVersion), "\n\n")
	if s.single {
		s.print("BEGIN;\n\n")
	}
	s.fixedState()
	s.plan.eachDrop(&s.state, func(_ *archive.Entry, sets []string, sql string) {
		s.statements(sets)
		s.print(sql)
	})
	for _, step := range s.plan.Steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.step(ctx, step); err != nil {
			e := step.Entry
			return fmt.Errorf("entry %d, %s %s: %w", e.ID, e.Kind, sanitizeLine(qualifiedID(e.Schema, e.Name)), err)
		}
	}
	if s.single {
		s.print("COMMIT;\n\n")
	}
	s.print("--\n-- PostgreSQL database dump complete\n--\n\n")
	if s.key != "" {
		s.print(`\unrestrict `, s.key, "\n\n")
	}
	return nil
}

// fixedState sets what the whole script relies on, at its start and after each \connect.
func (s *script) fixedState() {
	style := &s.plan.style
	s.print("SET statement_timeout = 0;\nSET lock_timeout = 0;\n")
	if !style.oldSettings {
		s.print("SET idle_in_transaction_session_timeout = 0;\n")
	}
	if style.transactionTimeout {
		s.print("SET transaction_timeout = 0;\n")
	}
	for _, sql := range s.plan.Setup() {
		s.print(sql, ";\n")
	}
	if !style.oldSettings {
		s.print("SET row_security = off;\n")
	}
	if IsSegmentedCatalog(s.plan.Catalog) {
		s.print("SET ", storageDefaults, " = '';\n")
		// Greenplum 6 passes floats on to its segments with 15 digits, and refuses the largest ones, unless told to take more.
		s.print("SET extra_float_digits = 3;\n")
	}
	s.print("\n")
}

func (s *script) statements(sql []string) {
	for _, statement := range sql {
		s.print(statement, "\n\n")
	}
}

// step writes one entry: its definition, its data, or both.
func (s *script) step(ctx context.Context, step *Step) error {
	e := step.Entry
	if step.Schema {
		s.definition(e, "")
		if e.Kind == kindDatabase || e.Kind == kindDatabaseProp {
			return s.connect(e.Name)
		}
	}
	switch {
	case !step.Data:
	case !e.HadDumper:
		if !step.Schema {
			s.definition(e, "")
		}
	case step.Blobs():
		s.definition(e, "Data for ")
		if s.members != nil {
			return s.lobMembers(e)
		}
		return s.largeObjects(ctx, e)
	case step.Rows():
		s.definition(e, "Data for ")
		if s.members != nil {
			return s.copyMember(e)
		}
		return s.rows(ctx, e)
	}
	return nil
}

// definition writes an entry's settings, its comment, and its statements.
func (s *script) definition(e *archive.Entry, prefix string) {
	if e.Kind == kindStatistics {
		prefix = "Statistics for "
	}
	s.statements(s.plan.settings(&s.state, e))
	owner, noOwner := e.Owner, s.plan.Options.NoOwner || e.Nulls&archive.NullOwner != 0
	s.print("--\n-- ", prefix, "Name: ", sanitizeLine(e.Name), "; Type: ", sanitizeLine(e.Kind),
		"; Schema: ", sanitizeOr(e.Schema, e.Nulls&archive.NullSchema != 0), "; Owner: ", sanitizeOr(owner, noOwner))
	if e.Tablespace != "" && !s.plan.Options.Without.Tablespaces {
		s.print("; Tablespace: ", sanitizeLine(e.Tablespace))
	}
	s.print("\n--\n\n")
	s.statements(s.plan.body(e))
}

// rows writes a COPY with its rows.
func (s *script) rows(ctx context.Context, e *archive.Entry) error {
	s.triggers(e, "DISABLE")
	s.print(e.Copy)
	err := s.src.Rows(ctx, e.ID, func(text []byte) error {
		_, err := s.w.Write(text)
		return err
	})
	if err != nil {
		return err
	}
	s.print("\\.\n\n\n")
	s.triggers(e, "ENABLE")
	return nil
}

// triggers disables or enables the triggers of a table, if that is asked for, in pg_restore's words.
func (s *script) triggers(e *archive.Entry, how string) {
	if o := &s.plan.Options; !o.DisableTriggers || o.wantsSchema() {
		return
	}
	if !s.superuser {
		s.superuser = true
		s.print("SET SESSION AUTHORIZATION DEFAULT;\n\n")
	}
	s.print("ALTER TABLE ", s.plan.qualified(e.Schema, e.Name), " ", how, " TRIGGER ALL;\n\n")
}
