package fanout

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// catalogRun is a pg_dump that gives the catalog of a moment. It uses the leader's own session: so it sees the moment, waits for no lock (the
// leader has them), takes none, and needs no password. It is started before the moment is taken, since it takes a while to load its
// libraries (30 ms on a machine where a whole dump by it takes 120), and waits for that session.
type catalogRun struct {
	relay   *wire.Relay
	session chan *wire.Conn // has room for one
	given   bool
	cancel  context.CancelFunc

	ended   chan struct{} // closed when neither pg_dump nor the relay is at work; what follows is valid then
	catalog *archive.Catalog
	err     error
}

// startCatalog starts it. Its stop must be called.
func (d *dumper) startCatalog(ctx context.Context) (*catalogRun, error) {
	relay, err := wire.NewRelay(d.o.Cluster.Coordinator.Config, catalogQuery)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &catalogRun{relay: relay, session: make(chan *wire.Conn, 1), cancel: cancel, ended: make(chan struct{})}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return relay.Serve(ctx, r.session) })
	g.Go(func() (err error) {
		// The relay tells it the session's encoding, which is the database's.
		r.catalog, err = d.tool.Catalog(ctx, CatalogOptions{
			Conninfo: relay.Conninfo(), Log: d.log,
			Filter: d.o.Filter, SchemaOnly: d.o.SchemaOnly, DataOnly: d.o.DataOnly, Statistics: d.o.Statistics, Sections: d.o.Sections,
			NoOwner: d.o.NoOwner, NoACL: d.o.NoACL, NoComments: d.o.NoComments,
			NoTOASTCompression: d.o.NoTOASTCompression, Without: d.o.Without,
			ForeignServers: d.foreignServers(),
		})
		return errors.Join(err, relay.Close()) // a pg_dump that never came must not be waited for
	})
	go func() {
		defer close(r.ended)
		r.err = g.Wait()
	}()
	return r, nil
}

// give gives it the session, which it has until wait or stop returns. Another call does nothing.
func (r *catalogRun) give(conn *wire.Conn) {
	if !r.given {
		r.given = true
		r.session <- conn
	}
}

// wait waits until it is done with the session that it was given, and gives the catalog.
func (r *catalogRun) wait(ctx context.Context) (*archive.Catalog, error) {
	defer context.AfterFunc(ctx, r.cancel)()
	<-r.ended
	return r.catalog, r.err
}

// stop ends it, and waits for that.
func (r *catalogRun) stop() {
	r.cancel()
	<-r.ended
}

// unlessFailed is a context that ends, too, when pg_dump does before it was given a session.
func (r *catalogRun) unlessFailed(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		<-r.ended
		cancel(r.err)
	}()
	return ctx
}

// reason is why the moment could not be taken under the context of unlessFailed(ctx): pg_dump's own failure, if that has ended it.
func (r *catalogRun) reason(ctx context.Context, err error) error {
	select {
	case <-r.ended:
		if ctx.Err() == nil && r.err != nil && (errors.Is(err, context.Canceled) || errors.Is(err, r.err)) {
			return r.err
		}
	default:
	}
	return err
}

// unlessBroken takes another pg_dump for the next attempt if this one could not be run, and err comes from that.
func (d *dumper) unlessBroken(ctx context.Context, r *catalogRun, err error) error {
	select {
	case <-r.ended:
	default:
		return err
	}
	if ctx.Err() != nil || r.err == nil || !errors.Is(err, r.err) || r.relay.Met() {
		return err
	}
	other, err := d.search.Instead(ctx, d.tool, err)
	if err != nil {
		return err
	}
	broken := d.tool.Path
	d.tool = other
	return fmt.Errorf("%w: %s cannot be run as it is, so the catalog comes from %s", errSlipped, broken, other.Path)
}

// catalogQuery decides on pg_dump's queries. The leader's transaction and locks stand for the ones that it asks for;
// it has written the whole catalog when it asks for rows.
func catalogQuery(sql string) wire.Verdict {
	for _, stand := range []string{"BEGIN", "SET TRANSACTION", "LOCK TABLE", "COMMIT", "ROLLBACK"} {
		if strings.HasPrefix(sql, stand) {
			return wire.Verdict{Tag: stand}
		}
	}
	for _, rows := range []string{"COPY ", "DECLARE "} {
		if strings.HasPrefix(sql, rows) {
			return wire.Verdict{Refuse: "pgark reads the rows itself"}
		}
	}
	return wire.Verdict{Forward: true}
}

// foreignServers are those whose rows belong to the dump.
func (d *dumper) foreignServers() []string {
	if d.o.Cluster.Layout != LayoutForeign || !d.o.wantsData() {
		return nil
	}
	names := make([]string, len(d.o.Cluster.Nodes))
	for i := range d.o.Cluster.Nodes {
		names[i] = d.o.Cluster.Nodes[i].Name
	}
	return names
}
