package fanout

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/pgark/pgark/wire"
)

var (
	// ErrPattern is wrapped by errors about a malformed name pattern.
	ErrPattern = errors.New("bad pattern")
	// ErrNothingMatches is wrapped when a pattern that must match something matches nothing.
	ErrNothingMatches = errors.New("nothing matches")
)

// relation is a table as the scope sees it.
type relation struct {
	OID       uint32
	Schema    string
	Name      string
	Kind      byte   // 'r' ordinary, 'p' partitioned, 'f' foreign
	Config    bool   // belongs to an extension, which says that its rows are the user's
	Condition string // with Config: the WHERE clause that says which rows, "" for all
	Root      uint32 // of a partition that has no entry of its own: OID of the table that it is a part of
	Parent    bool   // has partitions and no rows of its own, although its kind is 'r'
	External  bool   // its rows are not in the database, although its kind is 'r'
	Leaf      bool   // with 'f': a partition
	Asked     bool   // with 'f': its rows are asked for, although it is no partition on a node
	Server    string // with 'f': the foreign server
}

func (r relation) quoted() string { return wire.QualifiedName(r.Schema, r.Name) }

// hasRows tells whether a dump reads rows under this name.
func (r relation) hasRows() bool {
	switch r.Kind {
	case 'r':
		return !r.Parent && !r.External
	case 'f':
		return r.Leaf || r.Asked
	default:
		return false
	}
}

// lockable tells whether LOCK TABLE takes it. What is locked instead of a foreign partition is its parent: nobody can
// drop or detach it meanwhile.
func (r relation) lockable() bool { return r.Kind != 'f' && !r.External }

// scope finds the relations that a dump covers: the ones to lock and to read.
//
// What the archive holds in the end is decided by pg_dump, which gets the same patterns. The scope decides what is
// locked before the snapshot is taken, so it must not be smaller: [dumper.takeMoment] compares the two.
type scope struct {
	filter  Filter
	forced  []uint32 // relations that pg_dump listed and an earlier attempt had missed
	foreign bool     // foreign partitions are in scope
	dialect Dialect
}

// list returns the tables in scope, ordered by OID, as the session's snapshot shows them.
func (s *scope) list(ctx context.Context, conn *wire.Conn) ([]relation, error) {
	where, err := s.where()
	if err != nil {
		return nil, err
	}
	var rels []relation
	// "visible" in a pattern means visible on the user's own search path, as in pg_dump.
	if _, err := conn.Exec(ctx, "RESET search_path"); err != nil {
		return nil, err
	}
	asked, err := matchNames("fs.srvname", s.filter.ForeignServers, parseNamePattern)
	if err != nil {
		return nil, err
	}
	err = conn.Query(ctx, s.query(where, asked), func(row wire.Row) error {
		oid, err := strconv.ParseUint(string(row.Get(0)), 10, 32)
		if err != nil {
			return fmt.Errorf("pg_class.oid: %w", err)
		}
		root, err := strconv.ParseUint(string(row.Get(6)), 10, 32)
		if err != nil {
			return fmt.Errorf("OID of a partitioned table: %w", err)
		}
		rels = append(rels, relation{
			OID: uint32(oid), Schema: string(row.Get(1)), Name: string(row.Get(2)),
			Kind: row.Get(3)[0], Config: string(row.Get(4)) == "t", Condition: string(row.Get(5)),
			Root: uint32(root), Parent: string(row.Get(7)) == "t", External: string(row.Get(8)) == "t",
			Leaf: string(row.Get(9)) == "t", Server: string(row.Get(10)), Asked: string(row.Get(11)) == "t",
		})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	_, err = conn.Exec(ctx, "SET search_path = ''")
	return rels, err
}

// query lists tables r. The filter goes by c, which is the table itself or, of a partition that has no entry of its own,
// the table that it is a part of.
func (s *scope) query(where, asked string) string {
	kinds, leaf, server, foreign := "'r', 'p'", "false", "''", ""
	if s.foreign || asked != "" {
		kinds, server = "'r', 'p', 'f'", "COALESCE(fs.srvname, '')"
		if s.foreign {
			leaf = "(r.relkind = 'f' AND r.relispartition)"
		}
		foreign = `
LEFT JOIN pg_catalog.pg_foreign_table ft ON ft.ftrelid = r.oid
LEFT JOIN pg_catalog.pg_foreign_server fs ON fs.oid = ft.ftserver`
	}
	class, root, parent := "JOIN pg_catalog.pg_class c ON c.oid = r.oid", "0", "false"
	if s.dialect.LegacyParts {
		class = `LEFT JOIN (SELECT pr.parchildrelid AS part, pp.parrelid AS root FROM pg_catalog.pg_partition_rule pr
  JOIN pg_catalog.pg_partition pp ON pp.oid = pr.paroid WHERE NOT pp.paristemplate) leg ON leg.part = r.oid
JOIN pg_catalog.pg_class c ON c.oid = COALESCE(leg.root, r.oid)`
		root = "COALESCE(leg.root, 0)"
		parent = `(EXISTS (SELECT 1 FROM pg_catalog.pg_partition pp WHERE pp.parrelid = r.oid)
  OR leg.root IS NOT NULL AND EXISTS (SELECT 1 FROM pg_catalog.pg_inherits pi WHERE pi.inhparent = r.oid))`
	}
	if asked == "" {
		asked = "false"
	} else {
		asked = "r.relkind = 'f' AND NOT " + leaf + " AND (" + asked + ")"
	}
	external := "false"
	if s.dialect.ExternalTables {
		external = "r.relstorage = 'x'"
	}
	// pg_extension.extconfig names the tables whose rows belong to the user although the table belongs to the extension.
	return `SELECT r.oid, rn.nspname, r.relname, r.relkind, x.relid IS NOT NULL, COALESCE(x.cond, ''),
  ` + root + `, ` + parent + `, ` + external + `, ` + leaf + `, ` + server + `, ` + asked + `
FROM pg_catalog.pg_class r
JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
` + class + `
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace` + foreign + `
LEFT JOIN (SELECT e.extconfig[i] AS relid, e.extcondition[i] AS cond
  FROM pg_catalog.pg_extension e, pg_catalog.generate_subscripts(e.extconfig, 1) i) x ON x.relid = r.oid
WHERE r.relkind IN (` + kinds + `)
  AND (x.relid IS NOT NULL OR NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = r.oid AND d.deptype = 'e'))
  AND (` + where + `)
ORDER BY r.oid`
}

// where is the condition on pg_class c and pg_namespace n that the filter stands for.
func (s *scope) where() (string, error) {
	f := &s.filter
	var in string
	switch {
	case len(f.Tables)+len(f.TablesAndChildren) > 0:
		own, err := matchTables(f.Tables, false)
		if err != nil {
			return "", err
		}
		family, err := matchTables(f.TablesAndChildren, true)
		if err != nil {
			return "", err
		}
		in = join(" OR ", own, family)
	case len(f.Schemas) > 0:
		m, err := matchNames("n.nspname", f.Schemas, parseSchemaPattern)
		if err != nil {
			return "", err
		}
		in = m
	default:
		in = `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`
		if s.dialect.UtilityOption != "" {
			in += ` AND n.nspname <> 'gp_toolkit'`
		}
	}
	cond := "(" + in + ")"
	if m, err := matchNames("n.nspname", f.ExcludeSchemas, parseSchemaPattern); err != nil {
		return "", err
	} else if m != "" && len(f.Tables)+len(f.TablesAndChildren) == 0 {
		cond += " AND NOT (" + m + ")"
	}
	for _, x := range []struct {
		patterns []string
		family   bool
	}{{f.ExcludeTables, false}, {f.ExcludeTablesAndChildren, true}} {
		m, err := matchTables(x.patterns, x.family)
		if err != nil {
			return "", err
		}
		if m != "" {
			cond += " AND NOT (" + m + ")"
		}
	}
	if len(s.forced) > 0 {
		cond = "(" + cond + ") OR r.oid IN (" + joinOIDs(s.forced) + ")"
	}
	return cond, nil
}

func matchNames(column string, patterns []string, parse func(string) (pattern, error)) (string, error) {
	var terms []string
	for _, s := range patterns {
		p, err := parse(s)
		if err != nil {
			return "", err
		}
		terms = append(terms, matchRegex(column, p.name))
	}
	return join(" OR ", terms...), nil
}

func matchRegex(column, re string) string {
	return column + " OPERATOR(pg_catalog.~) " + wire.Literal(re) + " COLLATE pg_catalog.default"
}

// matchTables matches tables themselves or, for a family, everything that inherits from them too.
func matchTables(patterns []string, family bool) (string, error) {
	var terms []string
	for _, s := range patterns {
		p, err := parsePattern(s)
		if err != nil {
			return "", err
		}
		term := matchRegex("c.relname", p.name)
		if p.schema != "" {
			term += " AND " + matchRegex("n.nspname", p.schema)
		} else {
			term += " AND pg_catalog.pg_table_is_visible(c.oid)"
		}
		terms = append(terms, "("+term+")")
	}
	match := join(" OR ", terms...)
	if match == "" || !family {
		return match, nil
	}
	return `c.oid IN (WITH RECURSIVE family(oid) AS (
  SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE ` + match + `
  UNION SELECT i.inhrelid FROM family f JOIN pg_catalog.pg_inherits i ON i.inhparent = f.oid)
SELECT oid FROM family)`, nil
}

// join joins what is not empty.
func join(sep string, terms ...string) string {
	var some []string
	for _, t := range terms {
		if t != "" {
			some = append(some, t)
		}
	}
	return strings.Join(some, sep)
}

func joinOIDs(oids []uint32) string {
	var b strings.Builder
	for i, oid := range oids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(uint64(oid), 10))
	}
	return b.String()
}
