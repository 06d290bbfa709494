package fanout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgark/pgark/wire"
)

// majorNoComments is the first release of pg_dump that can leave out comments. They are taken out of what older ones give.
const majorNoComments = 11

// majorTOASTCompression is the first release with compression methods of columns.
const majorTOASTCompression = 14

// catalogArgs is the command line that gives the catalog. Switches that this pg_dump does not have are an error
// that names the version which has them.
func (p PgDump) catalogArgs(o CatalogOptions) ([]string, error) {
	args := []string{"--format=custom", "--compress=0", "--no-password"}
	if o.Encoding != "" {
		args = append(args, "--encoding="+o.Encoding)
	}
	for _, f := range []struct {
		on   bool
		flag string
	}{
		{o.SchemaOnly && !o.Statistics, "--schema-only"},
		{o.DataOnly && !o.Statistics, "--data-only"},
		{o.Statistics, "--statistics"},
		{o.Statistics && o.SchemaOnly, "--no-data"},
		{o.Statistics && o.DataOnly, "--no-schema"},
		{o.NoOwner, "--no-owner"},
		{o.NoACL, "--no-privileges"},
		{o.NoComments && p.Major >= majorNoComments, "--no-comments"},
		{o.Without.Tablespaces, "--no-tablespaces"}, // of the database itself; the others are taken out of the catalog
		{o.NoTOASTCompression && p.Major >= majorTOASTCompression, "--no-toast-compression"},
		{o.Filter.LargeObjects, "-b"}, // whose long name changed
		{o.Filter.NoLargeObjects, "-B"},
		{o.Filter.NoUnloggedData, "--no-unlogged-table-data"},
	} {
		if f.on {
			args = append(args, f.flag)
		}
	}
	for _, s := range o.Sections {
		args = append(args, "--section="+s)
	}
	patterns := slices.Clone(o.Filter.ForeignServers)
	for _, name := range o.ForeignServers {
		patterns = append(patterns, wire.Ident(name))
	}
	for _, pattern := range patterns {
		if p.Major < 13 {
			return nil, fmt.Errorf("%w: the rows of foreign tables need the pg_dump of PostgreSQL 13 or newer, and %s is %s; "+
				"choose another one with --pg-dump", ErrPgDumpTooOld, p.Path, p.Version)
		}
		args = append(args, "--include-foreign-data="+pattern)
	}
	filters, err := p.filterArgs(&o.Filter)
	if err != nil {
		return nil, err
	}
	args = append(args, filters...)
	return append(args, "--dbname="+o.Conninfo), nil
}

func (p PgDump) filterArgs(f *Filter) ([]string, error) {
	var args []string
	if f.Strict {
		args = append(args, "--strict-names")
	}
	for _, s := range []struct {
		flag     string
		patterns []string
		since    int // major version of the first pg_dump that has the switch
	}{
		{"--schema", f.Schemas, 0},
		{"--exclude-schema", f.ExcludeSchemas, 0},
		{"--table", f.Tables, 0},
		{"--table-and-children", f.TablesAndChildren, 16},
		{"--exclude-table", f.ExcludeTables, 0},
		{"--exclude-table-and-children", f.ExcludeTablesAndChildren, 16},
		{"--exclude-table-data", f.ExcludeTableData, 0},
		{"--exclude-table-data-and-children", f.ExcludeTableDataAndChildren, 16},
		{"--extension", f.Extensions, 14},
		{"--exclude-extension", f.ExcludeExtensions, 17},
	} {
		if len(s.patterns) > 0 && p.Major < s.since {
			return nil, fmt.Errorf("%w: %s needs the pg_dump of PostgreSQL %d or newer, and %s is %s; "+
				"choose another one with --pg-dump", ErrPgDumpTooOld, strings.TrimPrefix(s.flag, "--"), s.since, p.Path, p.Version)
		}
		for _, pattern := range s.patterns {
			args = append(args, s.flag+"="+pattern)
		}
	}
	return args, nil
}
