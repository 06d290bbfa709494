package fanout_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/fanout/topology"
	"github.com/pgark/pgark/internal/pgtest"
	"github.com/pgark/pgark/wire"
)

// The bank: money moves between tables all the time, and never changes in sum. A copy with another sum shows rows of
// two moments.
const (
	bankTables   = 4
	bankAccounts = 200
	bankTotal    = bankTables * bankAccounts * 100
	bankDumps    = 50
)

const bankSchema = `CREATE SCHEMA bank;
CREATE TABLE bank.t0 (id int, balance bigint NOT NULL);
CREATE TABLE bank.t1 (id int PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE bank.t2 (id int, balance bigint NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE bank.t2_low PARTITION OF bank.t2 FOR VALUES FROM (MINVALUE) TO (100);
CREATE TABLE bank.t2_high PARTITION OF bank.t2 FOR VALUES FROM (100) TO (MAXVALUE);
CREATE TABLE bank.t3 (id int, balance bigint NOT NULL, filler text DEFAULT repeat('x', 500));
INSERT INTO bank.t0 SELECT g, 100 FROM generate_series(0, 199) g;
INSERT INTO bank.t1 SELECT g, 100 FROM generate_series(0, 199) g;
INSERT INTO bank.t2 SELECT g, 100 FROM generate_series(0, 199) g;
INSERT INTO bank.t3 SELECT g, 100 FROM generate_series(0, 199) g;`

// bankSum adds up every table of the schema that has a balance, whatever the DDL of the moment has called it.
const bankSum = `SELECT sum((xpath('/row/s/text()', query_to_xml(
  format('SELECT coalesce(sum(balance), 0) AS s FROM ONLY %s', a.attrelid::regclass), false, true, '')))[1]::text::bigint)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE a.attname = 'balance' AND c.relkind = 'r' AND c.relnamespace = 'bank'::regnamespace`

func transfer() string {
	from, to := rand.IntN(bankTables), rand.IntN(bankTables)
	return fmt.Sprintf(`BEGIN; UPDATE bank.t%d SET balance = balance - 7 WHERE id = %d;
UPDATE bank.t%d SET balance = balance + 7 WHERE id = %d; COMMIT`,
		from, rand.IntN(bankAccounts), to, rand.IntN(bankAccounts))
}

// upheavals are transactions that keep the sum although they truncate, create, drop, rename and rewrite tables.
func upheavals() []string {
	return []string{
		// everything in t0 goes to t1's first row and comes back
		`BEGIN; LOCK bank.t0, bank.t1; UPDATE bank.t1 SET balance = balance + (SELECT sum(balance) FROM bank.t0) WHERE id = 0;
TRUNCATE bank.t0; INSERT INTO bank.t0 SELECT g, 0 FROM generate_series(0, 199) g; COMMIT`,
		`BEGIN; CREATE TABLE bank.fresh AS SELECT id, 5::bigint AS balance FROM generate_series(1, 20) id;
UPDATE bank.t3 SET balance = balance - 100 WHERE id = 3; COMMIT`,
		`BEGIN; UPDATE bank.t3 SET balance = balance + (SELECT sum(balance) FROM bank.fresh) WHERE id = 3; DROP TABLE bank.fresh; COMMIT`,
		`BEGIN; ALTER TABLE bank.t0 RENAME TO tmp; CREATE TABLE bank.t0 AS SELECT * FROM bank.tmp; DROP TABLE bank.tmp; COMMIT`,
		`ALTER TABLE bank.t3 ADD COLUMN extra int DEFAULT 1`,
		`ALTER TABLE bank.t3 DROP COLUMN extra`,
		`BEGIN; ALTER TABLE bank.t2 DETACH PARTITION bank.t2_high; ALTER TABLE bank.t2 ATTACH PARTITION bank.t2_high FOR VALUES FROM (100) TO (MAXVALUE); COMMIT`,
	}
}

// TestBankStaysConsistent dumps while several writers move money and tables come and go, and restores each dump: in
// every copy the sum is the constant.
func TestBankStaysConsistent(t *testing.T) {
	t.Parallel()
	srv := pgtest.Shared(t)
	db := srv.CreateDB(t)
	srv.Exec(t, db, bankSchema)

	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for range 3 {
		writers.Go(func() { write(ctx, t, srv.Conninfo(db), transfer, time.Millisecond) })
	}
	writers.Go(func() {
		i := 0
		all := upheavals()
		write(ctx, t, srv.Conninfo(db), func() string { i++; return all[i%len(all)] }, 300*time.Millisecond)
	})
	defer writers.Wait()
	defer stop()

	copied := srv.CreateDB(t)
	for i := range bankDumps {
		var file pgtest.Memory
		dumpTo(t, srv.Conninfo(db), &file, fanout.DumpOptions{Jobs: 4, Codec: archive.CodecZstd})
		restoreFrom(t, file.Bytes(), srv.Conninfo(copied))
		if got, want := srv.QueryString(t, copied, bankSum), fmt.Sprint(bankTotal); got != want {
			t.Fatalf("dump %d: the copy holds %s, want %s", i, got, want)
		}
		srv.Exec(t, copied, "DROP SCHEMA bank CASCADE")
	}
}

// write runs transactions until ctx ends. One that fails leaves the sum alone, so only its connection matters.
func write(ctx context.Context, t *testing.T, conninfo string, next func() string, pause time.Duration) {
	cfg, err := wire.ParseConfig(conninfo)
	if err != nil {
		t.Error(err)
		return
	}
	conn, err := wire.Connect(ctx, cfg, wire.Settings{ApplicationName: "bank writer"})
	if err != nil {
		if ctx.Err() == nil {
			t.Error(err)
		}
		return
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for ctx.Err() == nil {
		_, err := conn.Exec(ctx, next())
		var se *wire.ServerError
		if err != nil && !errors.As(err, &se) && ctx.Err() == nil {
			t.Error(err)
			return
		}
		if conn.InTransaction() != 'I' {
			_, _ = conn.Exec(ctx, "ROLLBACK")
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func dumpTo(t *testing.T, conninfo string, w io.Writer, o fanout.DumpOptions) *fanout.DumpResult {
	t.Helper()
	cfg, err := wire.ParseConfig(conninfo)
	if err != nil {
		t.Fatal(err)
	}
	if o.Cluster, err = topology.Discover(t.Context(), cfg, topology.Options{}); err != nil {
		t.Fatal(err)
	}
	res, err := fanout.Dump(t.Context(), w, o)
	if err != nil {
		t.Fatalf("dump: %v", err)
	}
	return res
}

func restoreFrom(t *testing.T, file []byte, conninfo string) {
	t.Helper()
	a, err := archive.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := wire.ParseConfig(conninfo)
	if err != nil {
		t.Fatal(err)
	}
	res, err := fanout.Restore(t.Context(), a, fanout.RestoreOptions{Target: cfg, Jobs: 2})
	if err != nil {
		t.Fatalf("restore: %v", err)
	}
	for _, f := range res.Failures {
		t.Errorf("restore %s %s: %v", f.Entry.Kind, f.Entry.Name, f.Err)
	}
	for _, m := range res.Mismatches {
		t.Errorf("restore: %s.%s differs: %s", m.Schema, m.Table, m.What)
	}
}
