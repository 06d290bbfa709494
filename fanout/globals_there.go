package fanout

import (
	"context"
	"fmt"
	"slices"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// globalsThere is what a server has.
type globalsThere struct {
	names   map[string]bool // kind and name
	members map[[2]string]bool
}

func (t *globalsThere) has(kind, name string) bool { return t.names[kind+" "+name] }

// lookForGlobals reads what is on the server.
func lookForGlobals(ctx context.Context, conn *wire.Conn) (*globalsThere, error) {
	t := &globalsThere{names: make(map[string]bool), members: make(map[[2]string]bool)}
	lists := [][2]string{
		{kindRole, "SELECT rolname FROM pg_catalog.pg_roles"},
		{kindTablespace, "SELECT spcname FROM pg_catalog.pg_tablespace"},
		{kindDatabase, "SELECT datname FROM pg_catalog.pg_database"},
	}
	for _, c := range [][3]string{
		{kindResourceQueue, "pg_resqueue", "rsqname"}, {kindResourceGroup, "pg_resgroup", "rsgname"}, {kindParameterACL, "pg_parameter_acl", "parname"},
	} {
		found, err := conn.QueryString(ctx, "SELECT pg_catalog.count(*) FROM pg_catalog.pg_class WHERE relnamespace = 11 AND relname = "+wire.Literal(c[1]))
		if err != nil {
			return nil, fmt.Errorf("look for roles and tablespaces: %w", err)
		}
		if found != "0" {
			lists = append(lists, [2]string{c[0], "SELECT " + c[2] + " FROM pg_catalog." + c[1]})
		}
	}
	for _, list := range lists {
		rows, err := conn.QueryStrings(ctx, list[1])
		if err != nil {
			return nil, fmt.Errorf("look for roles and tablespaces: %w", err)
		}
		for _, row := range rows {
			t.names[list[0]+" "+row[0]] = true
		}
	}
	rows, err := conn.QueryStrings(ctx, `SELECT r.rolname, m.rolname FROM pg_catalog.pg_auth_members a
JOIN pg_catalog.pg_roles r ON r.oid = a.roleid JOIN pg_catalog.pg_roles m ON m.oid = a.member`)
	if err != nil {
		return nil, fmt.Errorf("look for roles and tablespaces: %w", err)
	}
	for _, row := range rows {
		t.members[[2]string{row[0], row[1]}] = true
	}
	return t, nil
}

// restoreGlobals makes roles and tablespaces that are not there, before all else. Those that are there stay as they are, with what the
// archive says of them alone.
func (r *restoreRun) restoreGlobals(ctx context.Context) error {
	var entries []archive.Entry
	r.steps = slices.DeleteFunc(r.steps, func(s *Step) bool {
		if s.Entry.Global() {
			entries = append(entries, *s.Entry)
		}
		return s.Entry.Global()
	})
	if len(entries) == 0 {
		return nil
	}
	s, err := r.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	m := &globalsMaker{conn: s.conn, log: r.opts.Log}
	m.fail = func(e *archive.Entry, err error) error { return r.fail(ctx, s, e, err) }
	m.done = func(e *archive.Entry) {
		r.change = true
		r.done(e.ID)
	}
	if err := m.setUp(ctx, r.catalog); err != nil {
		return err
	}
	if err := m.run(ctx, entries); err != nil {
		return err
	}
	for _, w := range m.result.Warnings {
		r.warn(w)
	}
	for i := range m.result.Later {
		r.warn(fmt.Sprintf("%s was left out: the database is not there yet", describeGlobal(&m.result.Later[i])))
	}
	return nil
}
