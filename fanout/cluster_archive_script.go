package fanout

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// ClusterScriptOptions says what of an archive of several databases a script restores, and how.
type ClusterScriptOptions struct {
	Databases []string // names of those that are wanted; nil for all
	NoGlobals bool     // leave roles and tablespaces out

	// Script says how each database is written. Create and Globals are set for each. With Clean the script begins with dropping
	// databases, tablespaces and roles, as pg_dumpall --clean; IfExists is about these. Without a RestrictKey each part has one of its own.
	Script ScriptOptions

	OpenSource OpenSource // nil for an archive of pgark
}

// WriteClusterScript writes an archive of several databases, or a script of pg_dumpall anew, as SQL for psql: the text that the pg_dumpall of PostgreSQL 15 would write of the
// server, rows included. It differs from it where pg_dumpall lacks something: settings of all roles (ALTER ROLE ALL SET); and in resource queues
// and groups, which PostgreSQL's has not, and settings of roles in single databases, which stand behind the databases. It does not
// close w. What it has written when it fails has no end: don't keep it.
func WriteClusterScript(ctx context.Context, w io.Writer, c Databases, o ClusterScriptOptions) error {
	p := &o.Script
	switch {
	case p.SingleTransaction:
		return fmt.Errorf("%w: several databases can't be restored in one transaction", ErrUsage)
	case p.Create || p.Globals:
		return fmt.Errorf("%w: whether databases are created follows from the archive", ErrUsage)
	}
	if err := p.validate(); err != nil {
		return err
	}
	names, err := chooseDatabases(c, o.Databases)
	if err != nil {
		return err
	}
	cat, err := c.Catalog()
	if err != nil {
		return fmt.Errorf("read roles and tablespaces: %w", err)
	}
	s, open := &clusterScript{w: bufio.NewWriterSize(w, 64<<10), o: o, cat: cat}, o.OpenSource
	s.part = func(ctx context.Context, w io.Writer, name string, o ScriptOptions) error {
		db, err := openDatabase(c, open, name)
		if err != nil {
			return err
		}
		return db.script(ctx, w, o)
	}
	return s.run(ctx, names)
}

// clusterScript writes one script. Errors of w are sticky, and seen at the end.
type clusterScript struct {
	w    *bufio.Writer
	o    ClusterScriptOptions
	cat  *archive.Catalog // roles and tablespaces
	part func(ctx context.Context, w io.Writer, name string, o ScriptOptions) error
}

func (s *clusterScript) run(ctx context.Context, names []string) error {
	if err := s.write(ctx, names); err != nil {
		return err
	}
	if err := s.w.Flush(); err != nil {
		return fmt.Errorf("write the script: %w", err)
	}
	return nil
}

func (s *clusterScript) print(parts ...string) {
	for _, p := range parts {
		s.w.WriteString(p) //nolint:errcheck // sticky, reported by Flush
	}
}

func (s *clusterScript) write(ctx context.Context, names []string) error {
	s.print("--\n-- PostgreSQL database cluster dump\n--\n\n")
	later, err := s.globals(names)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		s.print("--\n-- Databases\n--\n\n")
	}
	for _, name := range names {
		if err := s.database(ctx, name); err != nil {
			return fmt.Errorf("database %s: %w", visibleName(name), err)
		}
	}
	if later != "" {
		key, err := restrictKey(&s.o.Script)
		if err != nil {
			return err
		}
		s.restrict(key)
		s.settings()
		s.print(later)
		s.unrestrict(key)
	}
	s.print("--\n-- PostgreSQL database cluster dump complete\n--\n\n")
	return nil
}

func (s *clusterScript) restrict(key string) {
	if key != "" {
		s.print(`\restrict `, key, "\n\n")
	}
}

func (s *clusterScript) unrestrict(key string) {
	if key != "" {
		s.print(`\unrestrict `, key, "\n\n")
	}
}

// settings are what the statements about the server rely on.
func (s *clusterScript) settings() {
	std := true
	for i := range s.cat.Entries {
		if e := &s.cat.Entries[i]; e.Kind == "STDSTRINGS" {
			std = strings.Contains(e.DDL, "'on'")
		}
	}
	s.print("SET default_transaction_read_only = off;\n\n")
	if s.cat.Encoding != "" {
		s.print("SET client_encoding = ", stringLiteral(s.cat.Encoding, true), ";\n")
	}
	s.print("SET standard_conforming_strings = ", onOff(std), ";\n")
	if !std {
		s.print("SET escape_string_warning = off;\n")
	}
	s.print("\n")
}

// globals writes what stands before the databases, and gives what has to stand behind them.
func (s *clusterScript) globals(names []string) (later string, err error) {
	key, err := restrictKey(&s.o.Script)
	if err != nil {
		return "", err
	}
	cat := s.cat
	if s.o.Script.ToPostgres {
		cat, _ = ToPostgres(cat) // each database tells its notes
	}
	var entries []archive.Entry
	if !s.o.NoGlobals {
		entries = chooseGlobals(cat, &s.o.Script.PlanOptions)
	}
	s.restrict(key)
	s.settings()
	if s.o.Script.Clean {
		s.print(globalsDrops(entries, names, s.o.Script.IfExists))
	}
	text := ""
	if text, later = globalsText(entries); len(entries) > 0 {
		s.print(text)
	}
	s.unrestrict(key)
	return later, nil
}

// database writes one database, as pg_dumpall has pg_dump write it: the two that every server has are filled, or with Clean made anew, the
// others are made. With Clean they are dropped already.
func (s *clusterScript) database(ctx context.Context, name string) error {
	if strings.ContainsAny(name, "\r\n") {
		return fmt.Errorf("a script can't connect to a database with a line break in its name: %q", name)
	}
	o := s.o.Script
	o.IfExists = false
	made := o.wantsSchema() && (len(o.Sections) == 0 || slices.Contains(o.Sections, "pre-data"))
	o.Create = made && (!isMaintenance(name) || o.Clean)
	o.Clean = o.Create && isMaintenance(name)
	s.print("--\n-- Database \"", sanitizeLine(name), "\" dump\n--\n\n")
	if !o.Create {
		s.print(connectCommand(name), "\n")
	}
	return s.part(ctx, s.w, name, o)
}

// connectCommand has psql go on in another database.
func connectCommand(database string) string {
	if isConnValue(database) {
		return `\connect ` + quoteID(database) + "\n"
	}
	return "\\encoding SQL_ASCII\n\\connect -reuse-previous=on " + quoteID("dbname="+connValue(database)) + "\n"
}
