// Package gpbackup reads the backup sets that gpbackup wrote, Greenplum's backup tool.
//
// [Open] finds a set and gives it as an archive.Source. A set is many files: of the coordinator a configuration, a table of
// contents and the definitions as SQL; of each segment one file for each table, or one file with all tables and a table of
// contents for it. files.go finds them, config.go reads what is in YAML, catalog.go makes a catalog of the definitions (catalog_piece.go
// of their pieces), data_table.go finds the rows of each table, replicated.go tells whether each segment has all of them or
// a part, stats.go makes statistics of the planner entries of the catalog, data.go opens the rows, and csv.go turns them from CSV into COPY text, byte for byte as the server would have
// written it.
//
// Nothing read from a set is trusted: names of files are looked up among those that were found, and never opened by what a set
// says; sizes are bounded; damage is an error that says where it is.
package gpbackup
