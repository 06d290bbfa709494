package fanout

// Filter says which objects a dump covers, in the words of pg_dump's switches. Every element is a psql pattern.
// The zero value covers the whole database.
type Filter struct {
	Schemas                     []string // -n
	ExcludeSchemas              []string // -N
	Tables                      []string // -t
	TablesAndChildren           []string // --table-and-children (pg_dump 16)
	ExcludeTables               []string // -T
	ExcludeTablesAndChildren    []string // --exclude-table-and-children (16)
	ExcludeTableData            []string // --exclude-table-data
	ExcludeTableDataAndChildren []string // --exclude-table-data-and-children (16)
	Extensions                  []string // -e
	ExcludeExtensions           []string // --exclude-extension (17)

	// ForeignServers are those whose foreign tables' rows belong to the dump too, read through the coordinator. They are no
	// part of the moment: --include-foreign-data (13).
	ForeignServers []string

	LargeObjects   bool // large objects too, where only some schemas or tables are wanted: -b
	NoLargeObjects bool // -B (10)
	NoUnloggedData bool // no rows of unlogged tables: --no-unlogged-table-data (9.1)

	Strict bool // each pattern of what to include must match something: --strict-names (9.6)
}

// Empty tells whether the filter covers everything.
func (f *Filter) Empty() bool {
	return len(f.Schemas)+len(f.ExcludeSchemas)+len(f.Tables)+len(f.TablesAndChildren)+len(f.ExcludeTables)+
		len(f.ExcludeTablesAndChildren)+len(f.ExcludeTableData)+len(f.ExcludeTableDataAndChildren)+
		len(f.Extensions)+len(f.ExcludeExtensions) == 0 && !f.NoLargeObjects && !f.NoUnloggedData
}
