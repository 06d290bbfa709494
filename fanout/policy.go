package fanout

import (
	"context"
	"fmt"
	"strconv"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// policy is how Greenplum spreads the rows of a table over its segments. Its name is not filled in.
type policy struct {
	archive.Distribution
	types []string // of the key's columns
}

// policyQuery gives a row for each column of each table's key, in order; one without column for tables that have none.
const policyQuery = `SELECT p.localoid, p.policytype, p.numsegments, a.attname, oc.name, t.typname
FROM (SELECT p.localoid, p.policytype, p.numsegments, p.distkey, p.distclass, k.i
  FROM pg_catalog.gp_distribution_policy p
  LEFT JOIN LATERAL pg_catalog.generate_series(0, pg_catalog.array_upper(p.distkey, 1)) k(i) ON true
  WHERE p.policytype <> 'e') p
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = p.localoid AND a.attnum = p.distkey[p.i]
LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN (SELECT c.oid, n.nspname || '.' || c.opcname AS name FROM pg_catalog.pg_opclass c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.opcnamespace) oc ON oc.oid = p.distclass[p.i]
WHERE p.localoid = `

// policiesOf reads how tables are spread, by OID. One that the coordinator has for itself has no policy.
func policiesOf(ctx context.Context, conn *wire.Conn, oids []uint32) (map[uint32]*policy, error) {
	policies := make(map[uint32]*policy, len(oids))
	if len(oids) == 0 {
		return policies, nil
	}
	err := conn.Query(ctx, policyQuery+anyOID(oids)+" ORDER BY p.localoid, p.i", func(row wire.Row) error {
		return addPolicy(policies, row)
	})
	if err != nil {
		return nil, fmt.Errorf("read the distribution of the tables: %w", err)
	}
	return policies, nil
}

// addPolicy takes one column of a policy's key, or a policy without a key.
func addPolicy(policies map[uint32]*policy, row wire.Row) error {
	oid, err := strconv.ParseUint(string(row.Get(0)), 10, 32)
	if err != nil {
		return fmt.Errorf("gp_distribution_policy.localoid: %w", err)
	}
	p := policies[uint32(oid)]
	if p == nil {
		segments, err := strconv.ParseUint(string(row.Get(2)), 10, 32)
		if err != nil {
			return fmt.Errorf("gp_distribution_policy.numsegments: %w", err)
		}
		p = &policy{Distribution: archive.Distribution{OID: uint32(oid), Kind: archive.DistributedRandom, Segments: uint32(segments)}}
		policies[p.OID] = p
	}
	switch {
	case string(row.Get(1)) == "r":
		p.Kind = archive.DistributedReplicated
	case !row.IsNull(3):
		p.Kind = archive.DistributedHash
		p.Columns = append(p.Columns, string(row.Get(3)))
		p.OpClasses = append(p.OpClasses, string(row.Get(4)))
		p.types = append(p.types, string(row.Get(5)))
	}
	return nil
}
