package fanout

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pgark/pgark/wire"
)

// serverDatabase is a database of a server.
type serverDatabase struct {
	name, encoding string
}

// listDatabases gives the databases of a server that belong to a dump, in pg_dumpall's order: template1, then the others by name; template0
// never. It says which are left out because nobody can connect to them.
func listDatabases(ctx context.Context, conn *wire.Conn, include, exclude []string) (all []serverDatabase, warnings []string, err error) {
	rows, err := conn.QueryStrings(ctx, `SELECT datname, pg_catalog.pg_encoding_to_char(encoding), datallowconn, datconnlimit
FROM pg_catalog.pg_database WHERE datname <> 'template0' ORDER BY (datname <> 'template1'), datname`)
	if err != nil {
		return nil, nil, fmt.Errorf("list the databases: %w", err)
	}
	in, err := matchDatabases(ctx, conn, include)
	if err != nil {
		return nil, nil, err
	}
	out, err := matchDatabases(ctx, conn, exclude)
	if err != nil {
		return nil, nil, err
	}
	for _, pattern := range include {
		if len(in[pattern]) == 0 {
			return nil, nil, fmt.Errorf("%w: database %s", ErrNothingMatches, pattern)
		}
	}
	has := func(of map[string][]string, name string) bool {
		for _, names := range of {
			if slices.Contains(names, name) {
				return true
			}
		}
		return false
	}
	for _, row := range rows {
		name, refuses, broken := row[0], row[2] != "t", row[3] == "-2"
		switch {
		case len(include) > 0 && !has(in, name), has(out, name):
		case refuses:
			warnings = append(warnings, fmt.Sprintf("database %s does not allow connections: it is not in the archive", visibleName(name)))
		case broken:
			warnings = append(warnings, fmt.Sprintf("database %s is what an interrupted DROP DATABASE has left: it is not in the archive", visibleName(name)))
		default:
			all = append(all, serverDatabase{name: name, encoding: row[1]})
		}
	}
	return all, warnings, nil
}

// matchDatabases finds the databases that match each pattern.
func matchDatabases(ctx context.Context, conn *wire.Conn, patterns []string) (map[string][]string, error) {
	found := make(map[string][]string)
	for _, text := range patterns {
		p, err := parseNamePattern(text)
		if err != nil {
			return nil, err
		}
		rows, err := conn.QueryStrings(ctx, "SELECT datname FROM pg_catalog.pg_database WHERE "+matchRegex("datname", p.name))
		if err != nil {
			return nil, fmt.Errorf("look for database %s: %w", text, err)
		}
		for _, row := range rows {
			found[text] = append(found[text], row[0])
		}
	}
	return found, nil
}

// warnOldDatabases says which databases have rights, limits and settings of their own that pg_dump before version 11, and so that of
// Greenplum 6, does not write.
func warnOldDatabases(ctx context.Context, conn *wire.Conn, tool *PgDump) ([]string, error) {
	const majorDatabaseProperties = 11
	if tool.Major >= majorDatabaseProperties {
		return nil, nil
	}
	rows, err := conn.QueryStrings(ctx, `SELECT datname FROM pg_catalog.pg_database d WHERE datallowconn AND datname <> 'template0' AND (
	datname NOT IN ('template1', 'postgres') AND datacl IS NOT NULL OR datconnlimit >= 0 OR EXISTS (
		SELECT 1 FROM pg_catalog.pg_db_role_setting s WHERE s.setdatabase = d.oid AND s.setrole = 0)) ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("list the databases: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	names := make([]string, len(rows))
	for i, row := range rows {
		names[i] = visibleName(row[0])
	}
	return []string{fmt.Sprintf("pg_dump %s does not write the rights on a database, its limit of connections and its settings (ALTER DATABASE ... SET): "+
		"they are not in the archive, and these databases have some: %s", tool.Version, someTables(names))}, nil
}

// visibleName is a name as it may stand in a message.
func visibleName(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '"' }) {
		return fmt.Sprintf("%q", name)
	}
	return name
}
