package fanout

import (
	"context"
	"fmt"
	"slices"

	"github.com/pgark/pgark/archive"
)

// carryOut carries out the statements of an entry: all of them or none where that is possible.
func (m *globalsMaker) carryOut(ctx context.Context, e *archive.Entry, statements []*statement) error {
	if len(statements) == 0 {
		return nil
	}
	err := m.try(ctx, e, statements)
	switch {
	case err == nil:
		return nil
	case m.lost(ctx, err):
		return fmt.Errorf("%s: %w", describeGlobal(e), err)
	case isDuplicate(err) && e.Kind != kindMembership: // another session was faster
		m.result.Existed = append(m.result.Existed, describeGlobal(e))
		return nil
	}
	return m.fail(e, err)
}

// try carries out statements, and returns the server's error, after which nothing of them is left where that is possible.
func (m *globalsMaker) try(ctx context.Context, e *archive.Entry, statements []*statement) error {
	alone := !transactional(e.Kind)
	if err := m.begin(ctx, alone); err != nil {
		return err
	}
	for _, s := range statements {
		_, err := m.conn.Exec(ctx, s.result())
		if err == nil {
			continue
		}
		if !alone && !m.lost(ctx, err) {
			if _, undo := m.conn.Exec(ctx, "ROLLBACK TO SAVEPOINT pgark"); undo != nil {
				return undo
			}
		}
		if alone && statements[0].is(0, "SET") && !m.lost(ctx, err) { // that stands until it is taken back
			if _, undo := m.conn.Exec(ctx, "RESET SESSION AUTHORIZATION"); undo != nil {
				return undo
			}
		}
		return err
	}
	m.made[e.ID] = true
	if alone {
		m.committed(e)
		return nil
	}
	m.pending = append(m.pending, e)
	_, err := m.conn.Exec(ctx, "RELEASE SAVEPOINT pgark")
	return err
}

// transactional tells whether what makes objects of a kind may stand in a transaction.
func transactional(kind string) bool {
	switch kind {
	case kindTablespace, kindResourceQueue, kindResourceGroup, kindGlobal:
		return false
	}
	return true
}

// begin sees to it that a statement runs in the transaction, behind a savepoint, or alone.
func (m *globalsMaker) begin(ctx context.Context, alone bool) error {
	if alone {
		return m.commit(ctx)
	}
	if !m.inTx {
		if _, err := m.conn.Exec(ctx, "BEGIN"); err != nil {
			return err
		}
		m.inTx = true
	}
	_, err := m.conn.Exec(ctx, "SAVEPOINT pgark")
	return err
}

// commit makes what was done so far last.
func (m *globalsMaker) commit(ctx context.Context) error {
	if !m.inTx {
		return nil
	}
	if _, err := m.conn.Exec(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("make roles: %w", err)
	}
	m.inTx = false
	for _, e := range m.pending {
		m.committed(e)
	}
	m.pending = nil
	return nil
}

// rollback undoes what was not committed, after an error. It works after ctx is done too.
func (m *globalsMaker) rollback(ctx context.Context) {
	if !m.inTx || m.conn.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
	defer cancel()
	// An error here leaves the session unusable, which the next statement on it reports.
	_, _ = m.conn.Exec(ctx, "ROLLBACK")
}

// committed notes that an entry is there for good.
func (m *globalsMaker) committed(e *archive.Entry) {
	if !m.there.has(e.Kind, e.Name) {
		switch e.Kind {
		case kindRole, kindTablespace, kindResourceQueue, kindResourceGroup:
			m.result.Made = append(m.result.Made, describeGlobal(e))
		}
		if e.Kind == kindRole && logsInWithout(e.DDL, m.std) {
			m.nologin = append(m.nologin, e.Name)
		}
	}
	if m.done != nil {
		m.done(e)
	}
}

// logsInWithout tells whether a role may log in and is given no password.
func logsInWithout(ddl string, std bool) bool {
	login, password := false, false
	for _, s := range lexStatements(ddl, std) {
		for i := range s.tokens {
			login = login || s.is(i, "LOGIN")
			password = password || s.is(i, "PASSWORD")
		}
	}
	return login && !password
}

// membership grants one role to another, if one of them was made; later, if the grantor can't do it yet.
func (m *globalsMaker) membership(ctx context.Context, e *archive.Entry, statements []*statement) error {
	if len(statements) != 1 {
		return m.other(ctx, e, statements)
	}
	s := statements[0]
	role, member := "", ""
	if to := s.find("TO"); to > 0 && s.isName(1) && s.isName(to+1) {
		role, member = s.name(1), s.name(to+1)
	}
	isNew := func(name string) bool {
		return slices.ContainsFunc(e.Deps, func(id int32) bool { d := m.byID[id]; return d != nil && d.Name == name && m.made[id] })
	}
	if !m.o.Force && !isNew(role) && !isNew(member) {
		if !m.there.members[[2]string{role, member}] {
			m.left = append(m.left, describeGlobal(e))
		}
		return nil
	}
	err := m.try(ctx, e, statements)
	if err != nil && m.lost(ctx, err) {
		return fmt.Errorf("%s: %w", describeGlobal(e), err)
	}
	if err != nil {
		m.again = append(m.again, e)
	}
	return nil
}

// memberships tries again what was refused, as long as that helps: who grants a role must have it with the right to do so, and from
// version 16 on the server insists on it. What is left in the end is granted by whoever restores.
func (m *globalsMaker) memberships(ctx context.Context) error {
	for before := -1; len(m.again) > 0 && len(m.again) != before; {
		before = len(m.again)
		todo := m.again
		m.again = nil
		for _, e := range todo {
			if err := m.membershipAgain(ctx, e); err != nil {
				return err
			}
		}
	}
	todo := m.again
	m.again = nil
	for _, e := range todo {
		statements := lexStatements(e.DDL, m.std)
		s := statements[0]
		by := s.find("GRANTED", "BY")
		first := m.try(ctx, e, statements)
		if first == nil || m.lost(ctx, first) || by < 0 {
			if err := m.settle(ctx, e, first); err != nil {
				return err
			}
			continue
		}
		grantor := s.text(len(s.tokens) - 1)
		s.cut(by, len(s.tokens)-1)
		if err := m.try(ctx, e, statements); err != nil {
			if err := m.settle(ctx, e, first); err != nil {
				return err
			}
			continue
		}
		m.result.Warnings = append(m.result.Warnings, fmt.Sprintf("%s is not granted by %s, as in the archive: %v", describeGlobal(e), grantor, first))
	}
	return nil
}

func (m *globalsMaker) membershipAgain(ctx context.Context, e *archive.Entry) error {
	err := m.try(ctx, e, lexStatements(e.DDL, m.std))
	if err != nil && m.lost(ctx, err) {
		return fmt.Errorf("%s: %w", describeGlobal(e), err)
	}
	if err != nil {
		m.again = append(m.again, e)
	}
	return nil
}

// settle reports the end of an entry that was tried several times.
func (m *globalsMaker) settle(ctx context.Context, e *archive.Entry, err error) error {
	switch {
	case err == nil:
		return nil
	case m.lost(ctx, err):
		return fmt.Errorf("%s: %w", describeGlobal(e), err)
	}
	return m.fail(e, err)
}
