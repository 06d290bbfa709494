package fanout

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// GlobalsRestoreOptions says how roles and tablespaces are made.
type GlobalsRestoreOptions struct {
	// Force makes roles and tablespaces that are there what the archive says: their properties, settings, memberships, rights and
	// comments are set, too. Nothing is dropped or revoked but what the archive revokes. Without it they stay as they are.
	Force      bool
	ToPostgres bool         // leave out what only Greenplum has, see [ToPostgres]
	NoACL      bool         // leave out rights on tablespaces and parameters; memberships are none
	NoComments bool         // leave out comments
	Without    Without      // of it what is about the server: tablespaces, security labels
	For        *Plan        // leave out what this plan, if it has dependencies, does not need; nil: nothing
	Log        *slog.Logger // nil: silent
}

// GlobalsResult is what became of the roles and tablespaces of an archive.
type GlobalsResult struct {
	Made     []string        // "role ann", "tablespace fast"
	Existed  []string        // likewise: were there, and stayed as they are or, with Force, were altered
	Later    []archive.Entry // settings of roles in databases that are not there yet: see [RestoreLaterGlobals]
	Failures []Failure       // what the server refused
	Warnings []string        // sentences on what was left out, and on what has to be done by hand
}

// OK reports whether nothing was refused.
func (r *GlobalsResult) OK() bool { return len(r.Failures) == 0 }

// RestoreGlobals makes the roles, tablespaces and what belongs to them that are in a catalog and not on the server. What is there stays
// as it is, with all that the archive says of it alone; the result names it. A membership or a right is granted if one of the roles that it
// is about was made. Roles are made in one transaction, each of them whole or not at all; tablespaces, which can't be, one by one.
//
// What the server refuses is recorded in the result's Failures, and the rest goes on. An error is a session that is lost, or ctx's. The
// session must be idle and not in a transaction; its client_encoding is set to the catalog's.
func RestoreGlobals(ctx context.Context, conn *wire.Conn, cat *archive.Catalog, o GlobalsRestoreOptions) (*GlobalsResult, error) {
	m := &globalsMaker{conn: conn, o: o, log: orDiscard(o.Log)}
	m.fail = func(e *archive.Entry, err error) error {
		m.log.Error("not restored", "object", describeGlobal(e), "error", err)
		m.result.Failures = append(m.result.Failures, Failure{Entry: *e, Err: err})
		return nil
	}
	if o.ToPostgres {
		cat, _ = ToPostgres(cat) // what it does not keep is noted when all of the catalog is translated
	}
	if err := m.setUp(ctx, cat); err != nil {
		return nil, err
	}
	err := m.run(ctx, o.For.neededGlobals(cat, chooseGlobals(cat, &PlanOptions{NoACL: o.NoACL, NoComments: o.NoComments, Without: o.Without})))
	return &m.result, err
}

// RestoreLaterGlobals carries out the settings that [RestoreGlobals] could not make because their databases were not there.
func RestoreLaterGlobals(ctx context.Context, conn *wire.Conn, cat *archive.Catalog, later []archive.Entry, o GlobalsRestoreOptions) (*GlobalsResult, error) {
	some := *cat
	some.Entries = nil
	for i := range cat.Entries {
		if !cat.Entries[i].Global() {
			some.Entries = append(some.Entries, cat.Entries[i])
		}
	}
	some.Entries = append(some.Entries, later...)
	o.Force = true // the databases are new
	return RestoreGlobals(ctx, conn, &some, o)
}

// globalsMaker makes roles and tablespaces over one session.
type globalsMaker struct {
	conn   *wire.Conn
	o      GlobalsRestoreOptions
	log    *slog.Logger
	std    bool
	there  *globalsThere
	byID   map[int32]*archive.Entry
	made   map[int32]bool // entries that were carried out
	result GlobalsResult
	fail   func(e *archive.Entry, err error) error // an error ends all
	done   func(e *archive.Entry)                  // may be nil

	inTx    bool
	pending []*archive.Entry // carried out in the transaction, and not committed
	nologin []string         // roles that may log in and were made without a password
	left    []string         // memberships and rights of roles that were there
	again   []*archive.Entry // memberships that were refused, perhaps only because others come first
}

// setUp has the session take the catalog's text as it is.
func (m *globalsMaker) setUp(ctx context.Context, cat *archive.Catalog) error {
	m.std = true
	sql := ""
	for i := range cat.Entries {
		if e := &cat.Entries[i]; e.Kind == "STDSTRINGS" {
			m.std = strings.Contains(e.DDL, "'on'")
		}
	}
	if cat.Encoding != "" {
		sql = "SET client_encoding = " + wire.Literal(cat.Encoding) + "; "
	}
	if _, err := m.conn.Exec(ctx, sql+"SET standard_conforming_strings = "+onOff(m.std)); err != nil {
		return fmt.Errorf("set up a session: %w", err)
	}
	return nil
}

// run makes all entries in their order.
func (m *globalsMaker) run(ctx context.Context, entries []archive.Entry) error {
	var err error
	if m.there, err = lookForGlobals(ctx, m.conn); err != nil {
		return err
	}
	m.made, m.byID = make(map[int32]bool), make(map[int32]*archive.Entry, len(entries))
	for i := range entries {
		m.byID[entries[i].ID] = &entries[i]
	}
	if err = m.all(ctx, entries); err == nil {
		err = m.commit(ctx)
	}
	if err != nil {
		m.rollback(ctx)
		return err
	}
	m.summarize()
	return nil
}

func (m *globalsMaker) all(ctx context.Context, entries []archive.Entry) error {
	members := false
	for i := range entries {
		e := &entries[i]
		if members && e.Kind != kindMembership { // what follows may need them
			if err := m.memberships(ctx); err != nil {
				return err
			}
		}
		members = e.Kind == kindMembership
		if err := m.entry(ctx, e); err != nil {
			return err
		}
	}
	return m.memberships(ctx)
}

// entry decides what is to be done about one entry, and does it.
func (m *globalsMaker) entry(ctx context.Context, e *archive.Entry) error {
	statements := lexStatements(e.DDL, m.std)
	switch e.Kind {
	case kindRole, kindTablespace, kindResourceQueue, kindResourceGroup:
		return m.object(ctx, e, statements)
	case kindRoleSetting:
		return m.setting(ctx, e, statements)
	case kindMembership:
		return m.membership(ctx, e, statements)
	case kindGlobal:
		return m.other(ctx, e, statements)
	}
	if m.wanted(e) {
		return m.carryOut(ctx, e, statements)
	}
	return nil
}

// wanted tells whether what belongs to objects is to be made: with one of them, or by force. A comment belongs to one object,
// rights to all roles that they name; those that PUBLIC alone has on a parameter to that parameter, which is there if it has rights.
func (m *globalsMaker) wanted(e *archive.Entry) bool {
	deps := e.Deps
	if e.Kind == kindComment || e.Kind == kindLabel {
		deps = deps[:min(1, len(deps))]
	}
	if m.o.Force || slices.ContainsFunc(deps, func(id int32) bool { return m.made[id] }) {
		return true
	}
	if e.Kind == kindParameterACL {
		if len(e.Deps) == 0 && !m.there.has(kindParameterACL, strings.ReplaceAll(e.Name, `"`, "")) { // whose name has no quotes in it
			return true
		}
		m.left = append(m.left, describeGlobal(e))
	}
	return false
}

// object makes a role, a tablespace or the like that is not there.
func (m *globalsMaker) object(ctx context.Context, e *archive.Entry, statements []*statement) error {
	if !m.there.has(e.Kind, e.Name) {
		return m.carryOut(ctx, e, statements)
	}
	m.result.Existed = append(m.result.Existed, describeGlobal(e))
	if !m.o.Force {
		return nil
	}
	statements = slices.DeleteFunc(statements, func(s *statement) bool { return s.is(0, "CREATE") })
	return m.carryOut(ctx, e, statements)
}

// setting sets parameters of roles. Those for all roles concern roles that were there, too.
func (m *globalsMaker) setting(ctx context.Context, e *archive.Entry, statements []*statement) error {
	database := ""
	if s := statements; len(s) > 0 && s[0].is(3, "IN", "DATABASE") && s[0].isName(5) {
		database = s[0].name(5)
	}
	switch {
	case database != "" && !m.there.has(kindDatabase, database):
		m.result.Later = append(m.result.Later, *e)
		return nil
	case len(e.Deps) == 0 && !m.o.Force:
		m.left = append(m.left, "settings of "+e.Name)
		return nil
	case !m.wanted(e):
		return nil
	}
	return m.carryOut(ctx, e, statements)
}

// other carries out a statement of an unknown kind, if it makes or changes something by a command of its own. What writes to
// system catalogs names objects by numbers that mean something else on another server.
func (m *globalsMaker) other(ctx context.Context, e *archive.Entry, statements []*statement) error {
	plain := !slices.ContainsFunc(statements, func(s *statement) bool {
		return !s.isAny(0, "CREATE", "ALTER", "COMMENT", "GRANT", "REVOKE", "SECURITY") &&
			!s.is(0, "SET", "SESSION", "AUTHORIZATION") && !s.is(0, "RESET", "SESSION", "AUTHORIZATION")
	})
	switch {
	case !plain:
		m.result.Warnings = append(m.result.Warnings, fmt.Sprintf("%s was not carried out: it writes to system catalogs", describeGlobal(e)))
		return nil
	case len(e.Deps) > 0 && !m.wanted(e):
		m.left = append(m.left, describeGlobal(e))
		return nil
	}
	return m.carryOut(ctx, e, statements)
}

// summarize makes warnings of what people should know.
func (m *globalsMaker) summarize() {
	add := func(format string, names []string) {
		if len(names) > 0 {
			m.result.Warnings = append(m.result.Warnings, fmt.Sprintf(format, someTables(names)))
		}
	}
	if !m.o.Force {
		add("roles and tablespaces that were there stay as they are: %s", m.result.Existed)
	}
	add("left out, since the roles or parameters that it is about were there: %s", m.left)
	add("roles that may log in were made without a password: %s", m.nologin)
}

// isDuplicate tells that an object was there after all.
func isDuplicate(err error) bool { return sqlState(err) == "42710" }

// lost reports whether the session is of no more use.
func (m *globalsMaker) lost(ctx context.Context, err error) bool {
	return ctx.Err() != nil || m.conn.Err() != nil || wire.IsConnLost(err) || wire.IsAdminShutdown(err)
}
