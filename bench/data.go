package main

import (
	"context"
	"fmt"
	"os"
)

// The databases. They are built by the first section that needs them.
const (
	bigDB  = "bench_big"  // lineitem, narrow and some small tables
	manyDB = "bench_many" // nothing but small tables
)

// serverSettings make loading cheap, and let one transaction lock as many tables as the largest section has.
func serverSettings() map[string]string {
	return map[string]string{
		"shared_buffers":            "1GB",
		"max_wal_size":              "8GB",
		"wal_level":                 "minimal",
		"max_wal_senders":           "0",
		"autovacuum":                "off",
		"checkpoint_timeout":        "1h",
		"max_locks_per_transaction": "1024",
	}
}

// bigSQL makes lineitem, with the columns of TPC-H's and about its text: 148 bytes a row as COPY text, which zstd's first
// level makes 3 times smaller; narrow, with half as many rows again; and twenty tables of a hundred rows. Its
// numbers are hashes of the row's number, so that every run has the same rows. The hash of (i, k) stands for the
// k-th random number of row i.
func bigSQL(rows int) string {
	return fmt.Sprintf(`
BEGIN;
CREATE TABLE lineitem (
    l_orderkey bigint NOT NULL, l_partkey integer NOT NULL, l_suppkey integer NOT NULL, l_linenumber integer NOT NULL,
    l_quantity numeric(15,2) NOT NULL, l_extendedprice numeric(15,2) NOT NULL, l_discount numeric(15,2) NOT NULL, l_tax numeric(15,2) NOT NULL,
    l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL,
    l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL, l_comment varchar(44) NOT NULL);
INSERT INTO lineitem
SELECT 1 + i / 4 * 4, 1 + (a & 1048575) %% 200000, 1 + (a >> 20 & 1048575) %% 10000, 1 + i %% 4,
       q, q * (90000 + (a & 1048575) %% 110000) / 100.0, (b & 15) %% 11 / 100.0, (b >> 4 & 15) %% 9 / 100.0,
       substr('NAR', 1 + (b >> 8 & 255)::integer %% 3, 1), substr('OF', 1 + (b >> 16 & 1)::integer, 1),
       day, day + (b >> 17 & 63)::integer - 30, day + 1 + (b >> 23 & 31)::integer,
       (ARRAY['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'])[1 + (b >> 28 & 3)],
       (ARRAY['REG AIR', 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB', 'TRUCK'])[1 + (b >> 30 & 7)],
       left(to_hex(c) || to_hex(b) || to_hex(a), 14 + (c >> 51 & 1023)::integer %% 31)
FROM generate_series(0, %[1]d - 1) i,
     LATERAL (SELECT hashint8extended(i, 1) & 9223372036854775807, hashint8extended(i, 2) & 9223372036854775807, hashint8extended(i, 3) & 9223372036854775807) h (a, b, c),
     LATERAL (SELECT 1 + (a >> 40 & 1023) %% 50, date '1992-01-02' + (a >> 50 & 4095)::integer %% 2525) d (q, day);
CREATE TABLE narrow (a integer, b integer);
INSERT INTO narrow SELECT i, hashint4(i) FROM generate_series(1, %[2]d) i;
DO $$
BEGIN
    FOR i IN 1..20 LOOP
        EXECUTE format('CREATE TABLE small_%%s AS SELECT n, md5(n::text) FROM generate_series(1, 100) n', i);
    END LOOP;
END
$$;
COMMIT;
VACUUM (FREEZE, ANALYZE);
CHECKPOINT;`, rows, rows/2*3)
}

// manySQL makes small tables of ten rows, a thousand to a transaction.
func manySQL(tables int) string {
	return fmt.Sprintf(`
DO $$
BEGIN
    FOR i IN 1..%d LOOP
        EXECUTE format('CREATE TABLE t%%s (id integer, name text, at date)', i);
        EXECUTE format('INSERT INTO t%%s SELECT n, md5(n::text), date ''2024-01-01'' + n FROM generate_series(1, 10) n', i);
        IF i %% 1000 = 0 THEN COMMIT; END IF;
    END LOOP;
END
$$;
ANALYZE;
CHECKPOINT;`, tables)
}

// needBig builds the database of the large tables unless it is there.
func (b *bench) needBig(ctx context.Context) error {
	if b.hasBig {
		return nil
	}
	fmt.Fprintf(os.Stderr, "bench: building lineitem with %d rows, narrow with %d\n", b.rows, b.rows/2*3)
	if err := b.createDB(ctx, bigDB); err != nil {
		return err
	}
	if _, err := b.psql(ctx, bigDB, bigSQL(b.rows)); err != nil {
		return err
	}
	b.hasBig = true
	return nil
}

// needMany builds the database of the small tables.
func (b *bench) needMany(ctx context.Context) error {
	fmt.Fprintf(os.Stderr, "bench: building %d tables\n", b.tables)
	if err := b.createDB(ctx, manyDB); err != nil {
		return err
	}
	_, err := b.psql(ctx, manyDB, manySQL(b.tables))
	return err
}

// createDB makes an empty database; one of that name is dropped first.
func (b *bench) createDB(ctx context.Context, name string) error {
	if err := b.dropDB(ctx, name); err != nil {
		return err
	}
	_, err := b.psql(ctx, "postgres", "CREATE DATABASE "+name+" TEMPLATE template0")
	return err
}

func (b *bench) dropDB(ctx context.Context, name string) error {
	_, err := b.psql(ctx, "postgres", "DROP DATABASE IF EXISTS "+name)
	return err
}
