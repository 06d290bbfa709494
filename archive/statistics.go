package archive

import "strings"

// CatalogStatisticsMark begins the SQL of a STATISTICS DATA entry that writes the statistics into the server's catalog itself, since the
// server has no functions to restore them: see [Entry.CatalogStatistics].
const CatalogStatisticsMark = "-- statistics as rows of the server's catalog\n"

// CatalogStatistics says that the entry has a table's statistics as rows of the catalog of a Greenplum. Only a superuser can restore them,
// into a server of the same product and major version. Stock formats have no such entries.
func (e *Entry) CatalogStatistics() bool {
	return e.Kind == "STATISTICS DATA" && strings.HasPrefix(e.DDL, CatalogStatisticsMark)
}
