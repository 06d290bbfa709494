package main

import (
	"fmt"
	"strings"
)

// scaleSettings are for many servers on one small machine, whose data is loaded once and read a few times.
func scaleSettings() map[string]string {
	return map[string]string{
		"listen_addresses": "*", // of the server's own namespace
		"shared_buffers":   "64MB",
		"wal_level":        "minimal",
		"max_wal_senders":  "0",
		"autovacuum":       "off",
		"jit":              "off",
	}
}

// scaleRow is the size of a row as COPY text, about: an id and 32 hashes.
const scaleRow = 1032

const scaleColumns = "id bigint NOT NULL, body text NOT NULL"

// shardSQL makes one node's share of the rows, from one id up to the one before another. Hashes compress to half their
// size at best. The text stays in the row, and is not compressed there.
func shardSQL(from, to int) string {
	return fmt.Sprintf(`BEGIN;
CREATE TABLE event (%s);
INSERT INTO event
SELECT i, (SELECT string_agg(md5(i::text || '/' || k), '') FROM generate_series(1, 32) k) FROM generate_series(%d, %d) i;
COMMIT;
VACUUM (FREEZE, ANALYZE) event;`, scaleColumns, from, to-1)
}

// joinSQL makes the coordinator's view of the shards: a table partitioned by ranges of ids. 1,000 rows to a fetch are more
// than postgres_fdw asks for by itself (100): many would set it so for large reads.
func (s *scale) joinSQL(db string, nodes int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE EXTENSION postgres_fdw;\nCREATE TABLE event (%s) PARTITION BY RANGE (id);\n", scaleColumns)
	for i, n := range s.nodes[:nodes] {
		from, to := s.share(i, nodes)
		fmt.Fprintf(&b, `CREATE SERVER node%[1]d FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '%[2]s', port '%[3]d', dbname '%[4]s', fetch_size '1000');
CREATE USER MAPPING FOR postgres SERVER node%[1]d OPTIONS (user 'postgres');
CREATE FOREIGN TABLE event_%[1]d PARTITION OF event FOR VALUES FROM (%[5]d) TO (%[6]d) SERVER node%[1]d OPTIONS (table_name 'event');
`, i+1, n.host.addr, n.srv.Port(), db, from, to)
	}
	return b.String()
}

// share gives the ids of one of several nodes: from one up to the one before another.
func (s *scale) share(i, nodes int) (from, to int) {
	return s.rows * i / nodes, s.rows * (i + 1) / nodes
}
