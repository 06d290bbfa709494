package fanout

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// work does a worker's job: it writes the volume to w, which is neither synced nor closed, and returns what the lead
// volume has to be told, all but host and path. It opens job.Jobs sessions that read rows, one of which holds
// locks, and one that watches the lead's. Without an error it returns the one that held the locks, which is in no transaction
// any more and which the caller closes; all others are closed. Errors wrap [ErrJob], errSlipped and those of package wire.
func work(ctx context.Context, w io.Writer, job *Job, log *slog.Logger, progress *workerProgress) (_ archive.Volume, _ *wire.Conn, err error) {
	if err := job.Check(); err != nil {
		return archive.Volume{}, nil, err
	}
	set, err := hex.DecodeString(job.Set)
	if err != nil || len(set) != len(archive.SetID{}) {
		return archive.Volume{}, nil, fmt.Errorf("%w: the set's id is %q", ErrJob, job.Set)
	}
	d := &dumper{
		o:   DumpOptions{Jobs: job.Jobs, Codec: job.Codec, Level: job.Level, Cluster: &Cluster{Dialect: job.Dialect}},
		log: orDiscard(log), progress: progress, result: &DumpResult{},
	}
	m, err := d.joinMoment(ctx, job)
	if err != nil {
		return archive.Volume{}, nil, err
	}
	defer func() {
		if err != nil {
			m.close(ctx)
		}
	}()
	aw, err := archive.NewWriter(w, archive.WriterOptions{
		Codec: job.Codec, Level: job.Level, Created: time.UnixMicro(job.Created), Database: string(job.Database), Tool: job.Tool,
		Member: archive.Member{Set: archive.SetID(set), Number: job.Number, Lead: string(job.Archive)},
	})
	if err != nil {
		return archive.Volume{}, nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if job.LeadPID != 0 {
			cancel(d.watchSession(ctx, m.leader().node, job.LeadPID, leadPoll, ErrAbandoned, func() string { return progress.name(job.Set) }))
		}
	}()
	sum, err := d.writeMember(ctx, aw, m, job)
	if err != nil && errors.Is(context.Cause(ctx), ErrAbandoned) {
		err = context.Cause(ctx)
	}
	cancel(nil)
	<-watched
	if err != nil {
		aw.Abort()
		return archive.Volume{}, nil, err
	}
	sum.Volume.Node = job.Node
	return sum.Volume, m.leader().conn, nil
}

// joinMoment opens the session that holds the worker's locks and shows the lead's moment.
func (d *dumper) joinMoment(ctx context.Context, job *Job) (*moment, error) {
	node, conn, err := job.connect(ctx, d)
	if err != nil {
		return nil, err
	}
	d.o.Cluster.Coordinator = *node
	m := &moment{
		route: Route{Name: RouteSegments},
		members: []*member{{
			node: node, dialect: &d.o.Cluster.Dialect, conn: conn, locks: job.Locks, snapshot: job.Snapshot, parts: job.parts(),
		}},
	}
	r := &reader{conn: conn, snapshot: job.Snapshot, node: string(job.Name)}
	err = r.join(ctx)
	if err == nil && job.Locks {
		// The lead has these locks. Who waits for a stronger one since then keeps us from ours: once only, since nobody
		// can queue behind us any more.
		m.members[0].names = job.lockNames()
		if err = m.members[0].accessShare(ctx, ""); wire.IsLockTimeout(err) {
			err = fmt.Errorf("%w: node %s: %w", errSlipped, job.Name, err)
		}
	}
	if err == nil {
		err = job.lookUp(ctx, m.members[0])
	}
	if err != nil {
		m.close(ctx)
		return nil, err
	}
	return m, nil
}

// writeMember reads everything and writes the volume.
func (d *dumper) writeMember(ctx context.Context, aw *archive.Writer, m *moment, job *Job) (archive.Summary, error) {
	a := &attempt{dumper: d, m: m, tallies: make(map[uint32]*tally)}
	a.lanes = []*lane{{member: m.leader(), todo: make(chan []unit)}}
	m.joined = []*wire.Conn{m.leader().conn} // it reads, too: a session costs Greenplum's segments 0.07 s of CPU
	a.p = newPipeline(aw, a.sessions())
	units := planTables(m.leader().parts, job.Jobs, a.tallies)
	for _, b := range job.Blobs {
		units = append([]unit{largeObjectUnit(b.Entry, string(b.Name), b.OIDs)}, units...)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(a.lanes[0].todo)
		return a.sendAll(gctx, [][]unit{units})
	})
	a.p.startEncoders(gctx, g, job.Codec, job.Level)
	g.Go(func() error {
		return a.p.append(gctx, func(u *unit) int32 { return u.info.Entry }, d.progress)
	})
	g.Go(func() error { return a.readAll(gctx) })
	if err := g.Wait(); err != nil {
		return archive.Summary{}, err
	}
	if err := m.leader().end(ctx); err != nil {
		return archive.Summary{}, err
	}
	return aw.Close()
}
