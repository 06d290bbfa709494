package topology

import (
	"regexp"
	"strconv"
	"strings"
)

// The products.
const (
	postgreSQL = "PostgreSQL"
	greenplum  = "Greenplum"
	cloudberry = "Apache Cloudberry"
)

// oldest is the oldest server_version_num of a plain PostgreSQL that pgark reads.
const oldest = 120000

// endpointsQuery asks for the endpoints of this session's parallel retrieve cursors. A superuser sees those of other
// sessions, too.
const endpointsQuery = `SELECT gp_segment_id, auth_token, cursorname, hostname, port, endpointname
FROM pg_catalog.gp_get_endpoints()
WHERE sessionid = pg_catalog.current_setting('gp_session_id')::pg_catalog.int4`

// dialect turns a server's words about itself into capabilities. Greenplum and Cloudberry are as old as the PostgreSQL
// that they are built on, and then differ:
//
//   - Greenplum 6 is built on 9.4. Parallel retrieve cursors are an extension of each database, LOCK ... MASTER ONLY came
//     with 6.21.
//   - Greenplum 7 is built on 12: gp_role replaces gp_session_role, MASTER ONLY is spelt COORDINATOR ONLY, and the
//     endpoints are part of the catalog. https://github.com/greenplum-db/gpdb-archive
//   - Cloudberry is built on 14 and a fork of Greenplum 7, whose LOCK ... COORDINATOR ONLY it documents and does not have:
//     https://github.com/apache/cloudberry/issues/1265
//
// Only Greenplum 6.24.3 has been run against; the others are by their documentation.
func dialect(banner, version string, num int) Dialect {
	d := Dialect{
		Product: postgreSQL, Version: version, VersionNum: num,
		TIDRangeScan:   num >= 140000,
		ExportSnapshot: num >= 90200,
		ShortFloats:    num >= 120000, GeneratedColumns: num >= 120000, DeclarativeParts: num >= 100000,
		IdleTimeout: num >= 90600, BlockingPIDs: num >= 90600,
	}
	name, own := fork(banner)
	if name == "" {
		return d
	}
	d.Product, d.Version = name, own
	// Append-optimized tables have no blocks that a ctid would name.
	d.TIDRangeScan = false
	d.RetrieveOption = "-c gp_retrieve_conn=true"
	d.EndpointsQuery = endpointsQuery
	if num >= 120000 {
		d.UtilityOption = "-c gp_role=utility"
		if name == greenplum {
			d.LockOnlyCoordinator = " COORDINATOR ONLY"
		}
		return d
	}
	d.UtilityOption = "-c gp_session_role=utility"
	d.LegacyParts, d.ExternalTables = true, true
	if atLeast(own, 6, 21) {
		d.LockOnlyCoordinator = " MASTER ONLY"
	}
	return d
}

// fork tells a fork by the banner of version(), with the fork's own version number: "PostgreSQL 9.4.26 (Greenplum Database
// 6.24.3 build ...) on x86_64...". It gives "" for PostgreSQL itself.
func fork(banner string) (name, version string) {
	m := regexp.MustCompile(`\((Greenplum|Apache Cloudberry|Cloudberry|WarehousePG|Greengage)(?: Database)? (\d[\w.+-]*)`).FindStringSubmatch(banner)
	switch {
	case m == nil:
		return "", ""
	case strings.HasSuffix(m[1], "Cloudberry"):
		return cloudberry, m[2]
	default: // what went on from Greenplum's source speaks as Greenplum does
		return greenplum, m[2]
	}
}

// atLeast compares the first two parts of a version number.
func atLeast(version string, major, minor int) bool {
	first, rest, _ := strings.Cut(version, ".")
	second, _, _ := strings.Cut(rest, ".")
	a, err := strconv.Atoi(first)
	if err != nil {
		return false
	}
	b, err := strconv.Atoi(second)
	if err != nil {
		return a > major
	}
	return a > major || a == major && b >= minor
}

// segmented tells the products whose rows are on segments.
func segmented(d Dialect) bool { return d.UtilityOption != "" }
