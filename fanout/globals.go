package fanout

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// The kinds of entry that are of a server, or of a whole Greenplum, and not of a database. They stand before all others, and are restored
// only if that is asked for. There are also ACL, COMMENT and SECURITY LABEL of them: see [archive.Entry.Global].
const (
	kindRole          = "ROLE"            // CREATE ROLE with all ALTER ROLE but settings
	kindRoleSetting   = "ROLE SETTING"    // ALTER ROLE ... [IN DATABASE ...] SET
	kindMembership    = "ROLE MEMBERSHIP" // GRANT role TO role
	kindTablespace    = "TABLESPACE"      // CREATE TABLESPACE with ALTER TABLESPACE ... SET
	kindParameterACL  = "PARAMETER ACL"
	kindResourceQueue = "RESOURCE QUEUE" // Greenplum's
	kindResourceGroup = "RESOURCE GROUP"
	kindGlobal        = "GLOBAL" // any other statement
)

// GlobalsOptions says what is wanted of a server's roles and tablespaces.
type GlobalsOptions struct {
	// RolePasswords takes the hashes of the roles' passwords too, which only a superuser may read.
	RolePasswords bool
	Log           *slog.Logger // gets pg_dumpall's warnings, and what was left out; may be nil
}

// Globals gives a catalog that has roles, tablespaces and all that belongs to them, and nothing else: what the pg_dumpall of the same
// release says over conn, which sees what the session sees and needs no password. The session must be idle, in a transaction or not; where
// the server refuses something, a transaction is of no more use. IDs begin with 1; [AddGlobals] renumbers them. Memory: some times the text
// of pg_dumpall, which may have [maxGlobals] bytes.
//
// Errors wrap [ErrPgDumpall], and [ErrCatalogPermission] where the role may not read what is asked for.
func (p PgDump) Globals(ctx context.Context, conn *wire.Conn, o GlobalsOptions) (*archive.Catalog, error) {
	tool, err := p.dumpall(ctx)
	if err != nil {
		return nil, err
	}
	text, err := tool.globalsOver(ctx, conn, &o)
	if err != nil {
		return nil, err
	}
	all, err := settingsOfAll(ctx, conn)
	if err != nil {
		return nil, err
	}
	g := parseGlobals(text, 1, o.RolePasswords)
	g.addSettingsOfAll(all)
	g.warn(orDiscard(o.Log))
	return globalsCatalog(g, archive.Catalog{
		Encoding: conn.Encoding(), ServerVersion: conn.ServerVersion(), Product: productPostgreSQL, PgDumpVersion: p.Version,
	}), nil
}

// globalsCatalog is a catalog with all entries, and with how strings are written in them.
func globalsCatalog(g *globalsParser, cat archive.Catalog) *archive.Catalog {
	std := archive.Entry{Kind: "STDSTRINGS", Name: "STDSTRINGS", Section: archive.SectionPreData, DDL: "SET standard_conforming_strings = 'on';\n"}
	if !g.std {
		std.DDL = "SET standard_conforming_strings = 'off';\n"
	}
	std.ID, std.Nulls = int32(len(g.entries))+1, globalNulls //nolint:gosec // as many as statements
	cat.Entries = append(g.entries, std)
	return &cat
}

// ParseGlobals gives a catalog of the statements on roles, tablespaces and what belongs to them that a pg_dumpall wrote, as
// [PgDump.Globals] has it. Passwords are kept.
func ParseGlobals(text, encoding, product, serverVersion string) *archive.Catalog {
	return globalsCatalog(parseGlobals(text, 1, true), archive.Catalog{Encoding: encoding, Product: product, ServerVersion: serverVersion})
}

// globalsOver has pg_dumpall use a session that is open already.
func (t *dumpallTool) globalsOver(ctx context.Context, conn *wire.Conn, o *GlobalsOptions) (string, error) {
	relay, err := wire.NewRelay(conn.Config(), func(string) wire.Verdict { return wire.Verdict{Forward: true} })
	if err != nil {
		return "", err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return relay.ServeSession(gctx, conn) })
	var text string
	g.Go(func() (err error) {
		text, err = t.run(gctx, relay.Conninfo(), o)
		return errors.Join(err, relay.Close()) // a pg_dumpall that never came must not be waited for
	})
	return text, g.Wait()
}

// AddGlobals puts the server's entries before those of a database, which keep their IDs. cat is changed, globals is not.
func AddGlobals(cat, globals *archive.Catalog) {
	first := nextID(cat)
	all := GlobalEntries(globals)
	ids := make(map[int32]int32, len(all))
	for i := range all {
		ids[all[i].ID] = first + int32(i)
	}
	for i := range all {
		e := &all[i]
		e.ID = ids[e.ID]
		e.Deps = slices.Clone(e.Deps)
		for k, id := range e.Deps {
			e.Deps[k] = ids[id]
		}
	}
	cat.Entries = append(all, cat.Entries...)
}

func nextID(cat *archive.Catalog) int32 {
	var last int32
	for i := range cat.Entries {
		last = max(last, cat.Entries[i].ID)
	}
	return last + 1
}

// GlobalEntries are the entries of a catalog that are of the server.
func GlobalEntries(cat *archive.Catalog) []archive.Entry {
	return slices.DeleteFunc(slices.Clone(cat.Entries), func(e archive.Entry) bool { return !e.Global() })
}

// addGlobals puts the server's roles and tablespaces before the catalog's entries. They are read over a session of its own: roles have no
// moment, and what the server refuses must not end the leader's transaction.
func (a *attempt) addGlobals(ctx context.Context, cat *archive.Catalog) error {
	if !a.o.Globals {
		return nil
	}
	conn, err := a.session(ctx, &a.o.Cluster.Coordinator, "0")
	if err != nil {
		return err
	}
	defer closeSession(ctx, conn)
	globals, err := a.tool.Globals(ctx, conn, GlobalsOptions{RolePasswords: a.o.RolePasswords, Log: a.log})
	if err != nil {
		return err
	}
	AddGlobals(cat, globals)
	return nil
}

// wantsGlobal decides about an entry of the server. Names, sections and lists choose among what is in the database,
// dependencies in both.
func (c *chooser) wantsGlobal(e *archive.Entry) want {
	switch {
	case c.plan != nil && c.plan.needed != nil && !c.plan.needed[e.ID], !c.opts.Globals, !c.opts.wantsSchema(), c.opts.NoComments && e.Kind == kindComment, c.opts.Without.leavesOut(e),
		c.opts.NoACL && (e.Kind == kindACL || e.Kind == kindParameterACL):
		return want{}
	}
	return want{schema: true}
}

// chooseGlobals are the entries of a catalog that are of the server, without those that the options leave out.
func chooseGlobals(cat *archive.Catalog, o *PlanOptions) []archive.Entry {
	with := *o
	with.Globals = true
	c := &chooser{opts: &with}
	return slices.DeleteFunc(GlobalEntries(cat), func(e archive.Entry) bool { return !c.wantsGlobal(&e).any() })
}

// describeGlobal names an entry of the server for people: role ann.
func describeGlobal(e *archive.Entry) string {
	switch e.Kind {
	case kindRole:
		return "role " + e.Name
	case kindTablespace:
		return "tablespace " + e.Name
	case kindMembership:
		return "membership " + e.Name
	case kindResourceQueue:
		return "resource queue " + e.Name
	case kindResourceGroup:
		return "resource group " + e.Name
	default:
		return describeEntry(e)
	}
}
