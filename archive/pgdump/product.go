package pgdump

import (
	"strings"

	"github.com/pgark/pgark/archive"
)

const (
	productPostgreSQL = "PostgreSQL"
	productGreenplum  = "Greenplum"
)

// VersionWithProduct is a server's version as archives and scripts have it. They have no place for the product, so one other than
// PostgreSQL is part of the version, which pg_restore only shows.
func VersionWithProduct(cat *archive.Catalog) string {
	if cat.Product == "" || cat.Product == productPostgreSQL {
		return cat.ServerVersion
	}
	return cat.ServerVersion + " (" + cat.Product + ")"
}

// cutProduct takes apart what [VersionWithProduct] has put together, and finds the product in versions that others have written.
func cutProduct(serverVersion string) (product, version string) {
	switch {
	case strings.Contains(serverVersion, "Cloudberry"):
		product = "Apache Cloudberry"
	case strings.Contains(serverVersion, productGreenplum):
		product = productGreenplum
	default:
		product = productPostgreSQL
	}
	return product, strings.TrimSuffix(serverVersion, " ("+product+")")
}

// productOfTables gives a catalog's product. The pg_dump of Greenplum writes the version of the PostgreSQL that it is based on, and nothing
// of its own but how each table is distributed.
func productOfTables(cat *archive.Catalog, d dialect) string {
	if cat.Product != productPostgreSQL {
		return cat.Product
	}
	for i := range cat.Entries {
		e := &cat.Entries[i]
		if e.Kind == "EXTERNAL TABLE" || e.Kind == kindTable && strings.Contains(e.DDL, "DISTRIBUTED ") && isDistributed(e.DDL, d) {
			return productGreenplum
		}
	}
	return cat.Product
}

// isDistributed tells whether a table's definition has a DISTRIBUTED clause, outside of strings, names, comments and parentheses.
func isDistributed(ddl string, d dialect) bool {
	for r := newSQLReader([]byte(ddl), d.std, d.wide); r.t.kind != sqlEnd; r.next() {
		if r.lx.depth == 0 && r.skip("distributed") {
			return r.at("by") || r.at("randomly") || r.at("replicated")
		}
	}
	return false
}
