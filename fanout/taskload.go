package fanout

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// volumeLoader loads streams of a volume that lies here into the node beside it.
type volumeLoader struct {
	*taskServer
	spec    *LoadSpec
	archive *archive.File
	queue   *restoreQueue
	log     *slog.Logger
}

// volumeLoad is one table of it.
type volumeLoad struct {
	first archive.StreamID
	tableLoad
}

// load loads what the task says, and tells of each table how that went. What could not be loaded of one table does not keep
// others from being loaded; an error is that the node was lost, or the volume.
func (s *taskServer) load(ctx context.Context) error {
	a, ids, err := s.open()
	if err != nil {
		return err
	}
	defer a.Close()
	w := &volumeLoader{taskServer: s, spec: s.task.Load, archive: a, log: orDiscard(s.io.Log)}
	loads, err := w.plan(ids)
	if err != nil {
		return err
	}
	defer func() {
		for _, l := range loads {
			l.end()
		}
	}()
	shared := false
	w.queue = newLoadQueue(loads, w.spec.JoinFrom)
	for _, l := range loads {
		shared = shared || l.shared
	}
	sessions := s.task.Jobs
	if !shared {
		sessions = min(sessions, len(loads))
	}
	g, gctx := errgroup.WithContext(ctx)
	for i := range sessions {
		g.Go(func() error {
			session, err := w.connect(gctx)
			if err != nil && i > 0 && gctx.Err() == nil {
				return nil // a node without another session to give makes it slower, not impossible
			}
			if err != nil {
				return err
			}
			defer session.close(gctx)
			return w.work(gctx, session)
		})
	}
	return g.Wait()
}

// plan groups the streams by the table that they are loaded into.
func (w *volumeLoader) plan(ids []archive.StreamID) ([]*volumeLoad, error) {
	all := w.archive.Streams()
	var loads []*volumeLoad
	add := func(ids []archive.StreamID, sql string) {
		streams := make([]archive.Stream, len(ids))
		for i, id := range ids {
			streams[i] = all[id-1]
		}
		l := &volumeLoad{first: slices.Min(ids), tableLoad: tableLoad{schema: streams[0].Schema, table: streams[0].Table, sql: sql}}
		l.entry = &entryLoad{}
		l.setStreams(w.archive.Reader, streams, false)
		loads = append(loads, l)
	}
	groups := make(map[loadKey][]archive.StreamID)
	for _, id := range ids {
		if id == 0 {
			return nil, errStreams
		}
		k := loadKeyOf(&all[id-1])
		groups[k] = append(groups[k], id)
	}
	for k, ids := range groups {
		add(ids, copyInto(k.table.schema, k.table.table, all[ids[0]-1].Columns))
	}
	for _, t := range w.spec.Tables {
		ids, err := unpackStreams(t.Streams, len(all))
		if err != nil || len(ids) == 0 || ids[0] == 0 {
			return nil, errStreams
		}
		add(ids, string(t.SQL))
	}
	slices.SortFunc(loads, func(a, b *volumeLoad) int { return cmp.Compare(a.first, b.first) })
	parts := make([]*tableLoad, len(loads))
	for i, l := range loads {
		parts[i] = &l.tableLoad
	}
	shareParts(parts, w.task.Jobs, w.spec.ShareFrom)
	return loads, nil
}

// loadKey is what streams have in common that one COPY can load.
type loadKey struct {
	table   tableName
	columns string
}

func loadKeyOf(s *archive.Stream) loadKey {
	return loadKey{table: tableName{s.Schema, s.Table}, columns: quoteColumns(s.Columns)}
}

// newLoadQueue makes a queue of loads that depend on nothing.
func newLoadQueue(loads []*volumeLoad, joinFrom uint64) *restoreQueue {
	q := &restoreQueue{
		joinFrom: joinFrom, waiting: make(map[*restoreTask]bool), changed: make(chan struct{}), open: map[uint32]int{0: len(loads)},
	}
	for i, l := range loads {
		q.promote(&restoreTask{load: &l.tableLoad, volume: l, order: i, weight: l.raw})
	}
	return q
}

// connect opens a session that loads.
func (w *volumeLoader) connect(ctx context.Context) (*loadSession, error) {
	conn, err := reach(ctx, string(w.task.Node), w.spec.Conninfo, w.spec.Identity, func(cfg *wire.Config) (*wire.Conn, error) {
		settings := wire.LoadSettings(w.spec.Encoding)
		settings.ApplicationName = "pgark restore"
		return wire.Connect(ctx, cfg, settings)
	})
	if err != nil {
		return nil, err
	}
	conn.OnNotice = func(n *wire.Notice) { w.log.Warn("the server warns", "message", n.Message) }
	s := &loadSession{conn: conn, decoder: w.archive.NewDecoder()}
	for _, sql := range w.spec.Setup {
		if _, err := conn.Exec(ctx, sql); err != nil {
			s.close(ctx)
			return nil, fmt.Errorf("set up a session: %w", err)
		}
	}
	return s, nil
}

// work has one session load until nothing is left.
func (w *volumeLoader) work(ctx context.Context, s *loadSession) error {
	for {
		t, err := w.queue.take(ctx, 0)
		if t == nil || err != nil {
			return err
		}
		l := t.volume
		if l.entry.failed() == nil {
			digest, rows, err := s.copyIn(ctx, l.sql, &l.tableLoad, w)
			if err != nil {
				s.rollback(ctx)
			}
			l.add(digest, rows, err)
			if err != nil && (ctx.Err() != nil || s.lost(err)) {
				return fmt.Errorf("table %s: %w", qualifiedID(l.schema, l.table), err)
			}
		}
		if !w.queue.leave(t) {
			continue
		}
		w.queue.finish(t)
		if err := w.tell(l); err != nil {
			return err
		}
	}
}

// tell says how a load went.
func (w *volumeLoader) tell(l *volumeLoad) error {
	line := &WorkerLoaded{Stream: l.first, Digest: l.got, Rows: l.rows}
	if err := l.entry.failed(); err != nil {
		line.Error = Text(err.Error())
	}
	return w.out.write(WorkerLine{Loaded: line})
}

// Plan implements [Progress].
func (w *volumeLoader) Plan(int, uint64) {}

// Advance implements [Progress].
func (w *volumeLoader) Advance(rows, bytes uint64) { w.progress.Advance(rows, bytes) }

// TableDone implements [Progress].
func (w *volumeLoader) TableDone(string, string, uint64) {}

// Note implements [Progress].
func (w *volumeLoader) Note(string) {}
