package pgtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
)

// Shards is a coordinator and the servers that hold the partitions of its tables, joined by postgres_fdw. The coordinator
// knows Shards[i] as the foreign server ShardName(i).
type Shards struct {
	Coordinator *Server
	Shards      []*Server

	mu  sync.Mutex
	dbs int // number of databases created, for unique names
}

// shardSettings keep several servers on one small machine light, and allow for two-phase commit between them.
func shardSettings() map[string]string {
	return map[string]string{
		"shared_buffers":            "32MB",
		"max_connections":           "100",
		"max_locks_per_transaction": "64",
		"max_prepared_transactions": "10",
		"jit":                       "off",
	}
}

// LaunchShards starts a coordinator and n shards, all at the same time, and returns when all accept connections. The
// options are for each of them; their settings come after our own. The caller must call Stop.
func LaunchShards(ctx context.Context, n int, opts Options) (*Shards, error) {
	settings := shardSettings()
	maps.Copy(settings, opts.Settings)
	opts.Settings = settings
	servers, errs := make([]*Server, n+1), make([]error, n+1)
	var all sync.WaitGroup
	for i := range servers {
		all.Go(func() { servers[i], errs[i] = Launch(ctx, opts) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, stopAll(servers))
	}
	return &Shards{Coordinator: servers[0], Shards: servers[1:]}, nil
}

// All lists the coordinator and the shards, in this order.
func (s *Shards) All() []*Server { return append([]*Server{s.Coordinator}, s.Shards...) }

// Stop ends all servers at once and removes all that they left. It may be called more than once.
func (s *Shards) Stop() error { return stopAll(s.All()) }

// stopAll stops those servers that were started.
func stopAll(servers []*Server) error {
	errs := make([]error, len(servers))
	var all sync.WaitGroup
	for i, srv := range servers {
		if srv != nil {
			all.Go(func() { errs[i] = srv.Stop() })
		}
	}
	all.Wait()
	return errors.Join(errs...)
}

// ShardName is the name of the foreign server for Shards[i], counted from 1.
func ShardName(i int) string { return fmt.Sprintf("shard%d", i+1) }

// JoinSQL is for a database on the coordinator: it makes each shard's database of the same name known there as a foreign
// server, for the superuser.
func (s *Shards) JoinSQL(db string) string {
	var b strings.Builder
	b.WriteString("CREATE EXTENSION postgres_fdw;\n")
	for i, srv := range s.Shards {
		fmt.Fprintf(&b, "CREATE SERVER %s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '%s', port '%d', dbname %s);\n",
			ShardName(i), loopback, srv.Port(), quoteLiteral(db))
		fmt.Fprintf(&b, "CREATE USER MAPPING FOR %[1]s SERVER %[2]s OPTIONS (user '%[1]s');\n", superuser, ShardName(i))
	}
	return b.String()
}

// Table is a table that is partitioned by the hash of a column over all shards: one foreign table for each shard on the
// coordinator, and the table that holds the rows, under the name of the whole, on the shard itself.
type Table struct {
	Schema  string // made where it is missing
	Name    string
	Columns string // "id int, balance bigint"; a partitioned table with foreign partitions has no primary key
	Key     string // column of the hash
	Remote  string // further SQL for each shard: "ALTER TABLE bank.account ADD PRIMARY KEY (id)"
}

// LeafName is the name, on the coordinator, of the partition that Shards[i] holds.
func (t Table) LeafName(i int) string { return t.Name + "_" + ShardName(i) }

// CoordinatorSQL makes the table and its partitions on the coordinator, after RemoteSQL has run on each shard.
func (t Table) CoordinatorSQL(shards int) string {
	schema := quoteIdent(t.Schema)
	whole := schema + "." + quoteIdent(t.Name)
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE SCHEMA IF NOT EXISTS %s;\nCREATE TABLE %s (%s) PARTITION BY HASH (%s);\n",
		schema, whole, t.Columns, quoteIdent(t.Key))
	for i := range shards {
		fmt.Fprintf(&b, "CREATE FOREIGN TABLE %s.%s PARTITION OF %s FOR VALUES WITH (MODULUS %d, REMAINDER %d) SERVER %s OPTIONS (schema_name %s, table_name %s);\n",
			schema, quoteIdent(t.LeafName(i)), whole, shards, i, ShardName(i), quoteLiteral(t.Schema), quoteLiteral(t.Name))
	}
	return b.String()
}

// RemoteSQL makes the table on a shard.
func (t Table) RemoteSQL() string {
	schema := quoteIdent(t.Schema)
	return fmt.Sprintf("CREATE SCHEMA IF NOT EXISTS %s;\nCREATE TABLE %s.%s (%s);\n%s", schema, schema, quoteIdent(t.Name), t.Columns, t.Remote)
}

// quoteLiteral quotes a string for SQL with standard_conforming_strings on.
func quoteLiteral(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
