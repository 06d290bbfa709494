package topology

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/wire"
)

// cursorsRoute tries a parallel retrieve cursor with an endpoint on every segment, from its declaration to a session with
// each of the endpoints.
func (d *discovery) cursorsRoute(ctx context.Context, list []segment) Route {
	r := Route{
		Name: fanout.RouteCursors, Works: true, Promise: fanout.PromiseSnapshot,
		Reason: "rows are retrieved from the segments, under one snapshot of the coordinator",
	}
	if err := d.downSegments(list); err != nil {
		fail(&r, err)
		return r
	}
	missing, err := d.missingCursors(ctx)
	switch {
	case err != nil:
		fail(&r, err)
	case missing != "":
		r = Route{Name: fanout.RouteCursors, Reason: missing}
	default:
		if err := d.tryCursor(ctx); err != nil {
			fail(&r, err)
		}
	}
	return r
}

// missingCursors says why this database has no parallel retrieve cursors, "" if it has them.
func (d *discovery) missingCursors(ctx context.Context) (string, error) {
	rows, err := d.conn.QueryStrings(ctx, `SELECT
(SELECT pg_catalog.count(*) FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
	WHERE n.nspname = 'pg_catalog' AND p.proname = 'gp_get_endpoints'),
(SELECT pg_catalog.count(*) FROM pg_catalog.pg_available_extensions WHERE name = 'gp_parallel_retrieve_cursor')`)
	if err != nil {
		return "", fmt.Errorf("look for parallel retrieve cursors: %w", err)
	}
	switch has, available := rows[0][0], rows[0][1]; {
	case has != "0":
		return "", nil
	case available != "0":
		return fmt.Sprintf("database %s lacks an extension: CREATE EXTENSION gp_parallel_retrieve_cursor", d.conn.Config().Database()), nil
	}
	return d.cluster.Dialect.Product + " " + d.cluster.Dialect.Version + " has no parallel retrieve cursors installed", nil
}

// tryCursor declares a cursor over a system table that every segment has, and opens a session with each endpoint.
// gp_dist_random is a word of the grammar, which takes no schema.
func (d *discovery) tryCursor(ctx context.Context) (err error) {
	const declare = `BEGIN; DECLARE pgark_topology PARALLEL RETRIEVE CURSOR FOR SELECT dbid FROM gp_dist_random('gp_id')`
	if _, err := d.conn.Exec(ctx, declare); err != nil {
		_, rollbackErr := d.conn.Exec(ctx, "ROLLBACK")
		return errors.Join(fmt.Errorf("declare a parallel retrieve cursor: %w", err), rollbackErr)
	}
	defer func() {
		// Its endpoints have not been retrieved from, and never will be: the server takes that for a reason to complain.
		if _, rollbackErr := d.conn.Exec(ctx, "ROLLBACK"); rollbackErr != nil && err == nil && !isServer(rollbackErr) {
			err = fmt.Errorf("end the transaction of a parallel retrieve cursor: %w", rollbackErr)
		}
	}()
	endpoints, err := d.conn.QueryStrings(ctx, d.cluster.Dialect.EndpointsQuery)
	if err != nil {
		return fmt.Errorf("list the endpoints of a parallel retrieve cursor: %w", err)
	}
	byContent := make(map[string][]string)
	for _, e := range endpoints {
		byContent[e[0]] = e
	}
	for _, n := range d.cluster.Nodes { // before any session is opened
		if byContent[strconv.Itoa(n.Content)] == nil {
			return fmt.Errorf("a parallel retrieve cursor over all segments has no endpoint on %s", n.Name)
		}
	}
	errs := make([]error, len(d.cluster.Nodes))
	var g errgroup.Group
	g.SetLimit(probesAtOnce)
	for i, n := range d.cluster.Nodes {
		e := byContent[strconv.Itoa(n.Content)]
		g.Go(func() error {
			errs[i] = d.tryEndpoint(ctx, n, e[1], e[5])
			return nil
		})
	}
	_ = g.Wait() // every endpoint has its own error
	return join(errs)
}

// tryEndpoint retrieves from an endpoint. A segment of Greenplum 6 lets in who has the token, whatever its pg_hba.conf says.
func (d *discovery) tryEndpoint(ctx context.Context, n Node, token, endpoint string) error {
	s := settings()
	s.Startup = true // a session in retrieve mode takes no statement but RETRIEVE
	err := tryNode(ctx, d.cluster.RetrieveConfig(&n, token), s, func(ctx context.Context, conn *wire.Conn) error {
		_, err := conn.Exec(ctx, "RETRIEVE ALL FROM ENDPOINT "+wire.Ident(endpoint))
		return err
	})
	if err == nil {
		return nil
	}
	return d.nodeError(n, fmt.Errorf("retrieve session: %w", err))
}

// isServer says that the server said it, and the session goes on.
func isServer(err error) bool {
	var server *wire.ServerError
	return errors.As(err, &server) && !server.Fatal()
}
