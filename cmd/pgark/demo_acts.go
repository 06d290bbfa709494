package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

// makeShards makes the databases of the shards, with empty tables.
func (d *demo) makeShards(ctx context.Context) error {
	for _, srv := range d.shards.Shards {
		err := errors.Join(execSQL(ctx, srv, "postgres", "CREATE DATABASE shop"),
			execSQL(ctx, srv, "shop", demoAccount().RemoteSQL(), demoVisitShard))
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) load(ctx context.Context) error {
	d.next("Load a shop: about 550,000 rows, most of them on the shards, most of those on one; types, views, triggers, a large object")
	if err := d.makeShards(ctx); err != nil {
		return err
	}
	coordinator := d.shards.Coordinator
	if err := execSQL(ctx, coordinator, "postgres", "CREATE DATABASE shop", "CREATE DATABASE single"); err != nil {
		return err
	}
	err := execSQL(ctx, coordinator, "shop", d.shards.JoinSQL("shop"), demoSchema, demoAccount().CoordinatorSQL(demoShards), demoVisit, demoRows)
	if err != nil {
		return err
	}
	for i, of := range demoRegions() {
		if err := execSQL(ctx, d.shards.Shards[i], "shop", fmt.Sprintf(demoVisits, of.name, of.visits), "VACUUM ANALYZE shop.visit"); err != nil {
			return err
		}
	}
	total, err := d.total(ctx, "shop")
	if err != nil {
		return err
	}
	d.say("The money in shop.account, on the shards, and shop.savings, on the coordinator, together: %s cents.", total)
	return d.pgark(ctx, exitDone, "topology", "-d", "shop")
}

// dump runs on both routes while a writer moves money from one table to the other.
func (d *demo) dump(ctx context.Context) error {
	d.next("Dump it while a writer moves money between shards all the time: first all rows through the coordinator")
	through, err := d.dumpBy(ctx, "coordinator", "through.pgark")
	if err != nil {
		return err
	}
	d.next("Dump it again, the rows straight from the shards")
	direct, err := d.dumpBy(ctx, "segments", "shop.pgark")
	if err != nil {
		return err
	}
	d.say("Through the coordinator it took %.1f times as long. These servers share one machine: with a machine for each of them,\nthe shards would send at the same time. (`make bench-scale` measures that.)",
		through.Seconds()/direct.Seconds())
	return nil
}

func (d *demo) dumpBy(ctx context.Context, route, file string) (time.Duration, error) {
	before := d.moved.Load()
	wctx, stop := context.WithCancel(ctx)
	wrote := make(chan error, 1)
	go func() { wrote <- d.write(wctx) }()
	begun := time.Now()
	err := d.pgark(ctx, exitDone, "dump", "-d", "shop", "-j", "2", "--route", route, "-f", file)
	took := time.Since(begun)
	stop()
	if werr := <-wrote; werr != nil {
		err = errors.Join(err, fmt.Errorf("the writer: %w", werr))
	}
	if err == nil {
		d.say("Meanwhile the writer committed %s transfers.", humanCount(uint64(d.moved.Load()-before)))
	}
	return took, err
}

// write moves money until ctx ends.
func (d *demo) write(ctx context.Context) error {
	conn, err := demoSession(ctx, d.shards.Coordinator, "shop")
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for ctx.Err() == nil {
		// Not ctx: a transfer that has begun is finished, so that the count is true.
		if _, err := conn.Exec(context.WithoutCancel(ctx), fmt.Sprintf(demoMove, 1+rand.IntN(1000), 1+rand.IntN(1000))); err != nil {
			return err
		}
		d.moved.Add(1)
	}
	return nil
}

func (d *demo) look(ctx context.Context) error {
	d.next("Look into it, without a database")
	if err := d.pgark(ctx, exitDone, "list", "shop.pgark"); err != nil {
		return err
	}
	d.next("Look at the archive itself: how its rows were spread over the servers")
	if err := d.pgark(ctx, exitDone, "inspect", "shop.pgark"); err != nil {
		return err
	}
	d.next("One table out of it, as CSV")
	if err := d.pgark(ctx, exitDone, "cat", "--csv", "--header", "shop.pgark", `shop."Strange ""names"", and values"`); err != nil {
		return err
	}
	d.next("Verify it: read every byte, check every digest")
	return d.pgark(ctx, exitDone, "verify", "shop.pgark")
}

// damage flips one bit in the middle of a copy.
func (d *demo) damage(ctx context.Context) error {
	d.next("Flip one single bit in the middle of a copy, and verify that")
	b, err := os.ReadFile("shop.pgark")
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile("flipped.pgark", b, 0o600); err != nil {
		return err
	}
	return d.pgark(ctx, exitFound, "verify", "flipped.pgark")
}

// salvage cuts the last third off a copy, index included.
func (d *demo) salvage(ctx context.Context) error {
	d.next("Cut the last third off a copy, as a full disk would, and save what is left")
	b, err := os.ReadFile("shop.pgark")
	if err != nil {
		return err
	}
	if err := os.WriteFile("cut.pgark", b[:len(b)*2/3], 0o600); err != nil {
		return err
	}
	if err := d.pgark(ctx, exitFound, "salvage", "cut.pgark", "-f", "saved.pgark"); err != nil {
		return err
	}
	d.say("What was saved is a valid archive:")
	return d.pgark(ctx, exitDone, "verify", "saved.pgark")
}

// single restores what four servers had into one.
func (d *demo) single(ctx context.Context) error {
	d.next("Restore it into one plain PostgreSQL database, and read every table back")
	if err := d.pgark(ctx, exitDone, "restore", "-d", "single", "--to-postgres", "--verify", "shop.pgark"); err != nil {
		return err
	}
	return d.sameTotal(ctx, "single")
}

// rebuild loses the whole cluster and makes it anew out of the archive.
func (d *demo) rebuild(ctx context.Context) error {
	d.next("Lose the shop: drop its database on all four servers. Then make empty ones, and restore, straight into the shards")
	for _, srv := range d.shards.All() {
		if err := execSQL(ctx, srv, "postgres", "DROP DATABASE shop WITH (FORCE)"); err != nil {
			return err
		}
	}
	if err := d.makeShards(ctx); err != nil {
		return err
	}
	if err := execSQL(ctx, d.shards.Coordinator, "postgres", "CREATE DATABASE shop"); err != nil {
		return err
	}
	if err := d.pgark(ctx, exitDone, "restore", "-d", "shop", "--route", "segments", "--verify", "shop.pgark"); err != nil {
		return err
	}
	if err := d.sameTotal(ctx, "shop"); err != nil {
		return err
	}
	d.next("Change one cent in one row on one shard, and compare the shop with the archive")
	if err := execSQL(ctx, d.shards.Shards[1], "shop", "UPDATE shop.account SET cents = cents + 1 WHERE id = (SELECT min(id) FROM shop.account)"); err != nil {
		return err
	}
	return d.pgark(ctx, exitFound, "verify", "-d", "shop", "shop.pgark")
}

// sameTotal expects in a copy the money that there always was.
func (d *demo) sameTotal(ctx context.Context, db string) error {
	got, err := d.total(ctx, db)
	if err != nil {
		return err
	}
	if got != demoMoney {
		return fmt.Errorf("database %s has %s cents, not %s", db, got, demoMoney)
	}
	d.say("The money in database %s: %s cents, as in the original.", db, got)
	return nil
}
