package fanout

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pgark/pgark/archive"
)

// State is what the statements of a plan have set in one session so far, so that nothing is set twice. The zero
// value is a session after [Plan.Setup]. It belongs to its session: a new connection needs a new one.
type State struct {
	schema, tablespace, tableAM setting
}

type setting struct {
	known bool
	value string
}

// set notes a new value and tells whether it is one.
func (s *setting) set(value string) bool {
	if s.known && s.value == value {
		return false
	}
	s.known, s.value = true, value
	return true
}

// scriptStyle is how pg_restore of the release that made the catalog writes what later releases write otherwise.
type scriptStyle struct {
	stdStrings         bool
	searchPath         string // statement that sets it; "" in archives before 1.13, whose DDL needs one per schema
	alwaysQuote        bool   // the product has keywords of its own
	ownerByKind        bool   // ALTER VIEW and the like, not ALTER TABLE, set the owner (16)
	transactionTimeout bool   // scripts set transaction_timeout (17)
	oldSettings        bool   // Greenplum 6 refuses what is newer than PostgreSQL 9.4, and psql -1 would restore nothing
}

func styleOf(cat *archive.Catalog) scriptStyle {
	major := dumpMajor(cat.PgDumpVersion)
	st := scriptStyle{
		alwaysQuote: IsSegmentedCatalog(cat),
		ownerByKind: major >= 16, transactionTimeout: major >= 17,
		oldSettings: cat.Product == "Greenplum" && printsLongFloats(cat),
	}
	for i := range cat.Entries {
		switch e := &cat.Entries[i]; e.Kind {
		case "STDSTRINGS":
			st.stdStrings = strings.Contains(e.DDL, "'on'")
		case "SEARCHPATH":
			st.searchPath = e.DDL
		}
	}
	return st
}

// dumpMajor is the major version in "15.18 (Debian ...)"; 0 if it does not begin with a number.
func dumpMajor(version string) int {
	end := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(version)
	}
	major, err := strconv.Atoi(version[:end])
	if err != nil {
		return 0
	}
	return major
}

func (p *Plan) ident(s string) string {
	if p.style.alwaysQuote {
		return alwaysQuoteID(s)
	}
	return quoteID(s)
}

func (p *Plan) qualified(schema, name string) string {
	if schema == "" {
		return p.ident(name)
	}
	return p.ident(schema) + "." + p.ident(name)
}

// Setup gives what every session of the restore sets first, one statement each. Timeouts and row_security, which not
// every server has, are not among them: whoever connects sets those that the server knows.
func (p *Plan) Setup() []string {
	sets := []string{
		"SET client_encoding = '" + strings.ReplaceAll(p.Catalog.Encoding, "'", "''") + "'",
		"SET standard_conforming_strings = " + onOff(p.style.stdStrings),
	}
	if p.style.searchPath != "" {
		sets = append(sets, trimStatement(p.style.searchPath))
	}
	sets = append(sets,
		"SET check_function_bodies = false", // bodies may name what comes later
		"SET xmloption = content",           // so that all XML is accepted
		"SET client_min_messages = warning",
	)
	if !p.style.stdStrings {
		sets = append(sets, "SET escape_string_warning = off")
	}
	return sets
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// trimStatement takes the end off a statement.
func trimStatement(s string) string { return strings.TrimRight(s, "; \n") }

// Definition gives the statements that make a step's object, and those that set what they need. Each string is one
// query of the simple protocol, and may hold several statements. There are none for a step that only loads rows.
//
// CREATE DATABASE runs outside a transaction and on some other database; what follows belongs in a new session on the
// new one, with a new State.
func (p *Plan) Definition(st *State, s *Step) []string {
	if !s.Schema && s.Entry.HadDumper {
		return nil
	}
	var sets []string
	if e := s.Entry; !p.Options.Without.Tablespaces && e.Nulls&archive.NullTablespace == 0 && e.Tablespace != "" {
		// One that is not there is refused for each object, so that each is reported; it goes into the default one, and not into that
		// of the object before.
		sets = append(sets, setTablespace+"'';")
		st.tablespace = setting{}
	}
	return slices.Concat(sets, p.settings(st, s.Entry), p.body(s.Entry))
}

// setTablespace is how the statement begins that sets the tablespace of what is created.
const setTablespace = "SET default_tablespace = "

// settings are the SET statements that an entry needs.
func (p *Plan) settings(st *State, e *archive.Entry) []string {
	sets := p.schemaSetting(st, e)
	if !p.Options.Without.Tablespaces && e.Nulls&archive.NullTablespace == 0 && st.tablespace.set(e.Tablespace) {
		value := "''"
		if e.Tablespace != "" {
			value = p.ident(e.Tablespace)
		}
		sets = append(sets, setTablespace+value+";")
	}
	if p.hasTableAM(e) && e.RelKind != relkindPartitioned && st.tableAM.set(e.TableAM) {
		sets = append(sets, "SET default_table_access_method = "+p.ident(e.TableAM)+";")
	}
	return sets
}

// hasTableAM tells whether an entry is restored with an access method that it names.
func (p *Plan) hasTableAM(e *archive.Entry) bool {
	return !p.Options.Without.TableAccessMethods && e.Nulls&archive.NullTableAM == 0 && e.TableAM != ""
}

// schemaSetting selects the schema of an entry from an archive that does not qualify its names.
func (p *Plan) schemaSetting(st *State, e *archive.Entry) []string {
	if p.style.searchPath != "" || e.Schema == "" || !st.schema.set(e.Schema) {
		return nil
	}
	path := p.ident(e.Schema)
	if e.Schema != "pg_catalog" {
		path += ", pg_catalog"
	}
	return []string{"SET search_path = " + path + ";"}
}

// relkindPartitioned is pg_class.relkind of a partitioned table.
const relkindPartitioned = 'p'

// body is an entry's definition, its owner, and the access method of a partitioned table, which no setting reaches.
func (p *Plan) body(e *archive.Entry) []string {
	var body []string
	if sql, ok := p.schemaSQL[e.ID]; ok {
		return sql
	}
	switch {
	case p.Options.NoOwner && e.Kind == kindSchema && !strings.HasPrefix(e.DDL, "--"):
		// Old archives have the owner in it.
		body = append(body, "CREATE SCHEMA "+p.ident(e.Name)+";\n")
	case e.Kind == kindBlobMetadata:
		body = append(body, blobCommands(e.DDL, "SELECT pg_catalog.lo_create('", "')"))
	case e.Kind == kindACL && strings.HasPrefix(e.Name, "LARGE OBJECTS"):
		body = append(body, p.blobACL(e)...)
	case e.CatalogStatistics():
		body = append(body, p.catalogSQL(e)...)
	case e.DDL != "" && p.Options.Without.Tablespaces:
		body = append(body, withoutTablespaces(e, p.style.stdStrings))
	case e.DDL != "":
		body = append(body, e.DDL)
	}
	if p.ownerWanted(e) {
		if sql := p.ownerStatement(e); sql != "" {
			body = append(body, sql)
		}
		for _, name := range p.partitionsOf(e) {
			body = append(body, "ALTER TABLE "+name+" OWNER TO "+p.ident(e.Owner)+";")
		}
	}
	if e.RelKind == relkindPartitioned && p.hasTableAM(e) {
		body = append(body, "ALTER TABLE "+p.qualified(e.Schema, e.Name)+" SET ACCESS METHOD "+p.ident(e.TableAM)+";")
	}
	return body
}

// CopyStatement is the COPY ... FROM stdin of a step that loads rows, without its end. The table's name is qualified.
func (p *Plan) CopyStatement(s *Step) string {
	copySQL := trimStatement(s.Entry.Copy)
	target := copyTarget(s.Entry)
	if p.style.searchPath == "" && s.Entry.Schema != "" && (target == quoteID(s.Entry.Name) || target == alwaysQuoteID(s.Entry.Name)) {
		return "COPY " + p.ident(s.Entry.Schema) + "." + strings.TrimPrefix(copySQL, "COPY ")
	}
	return copySQL
}
