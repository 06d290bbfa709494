package fanout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// canConnect refuses a database with a line break in its name: psql would take what follows one for a command.
func canConnect(database string) error {
	if strings.ContainsAny(database, "\r\n") {
		return fmt.Errorf("a script can't connect to a database with a line break in its name: %q", database)
	}
	return nil
}

// connect goes on in another database.
func (s *script) connect(database string) error {
	if err := canConnect(database); err != nil {
		return err
	}
	if s.key != "" {
		s.print(`\unrestrict `, s.key, "\n")
	}
	if isConnValue(database) {
		s.print(`\connect `, quoteID(database), "\n")
	} else {
		// The name's encoding is not known, and no matter as long as psql hands it on as it is.
		s.print("\\encoding SQL_ASCII\n\\connect -reuse-previous=on ", quoteID("dbname="+connValue(database)), "\n")
	}
	if s.key != "" {
		s.print(`\restrict `, s.key, "\n")
	}
	s.print("\n")
	if s.plan.mayBeReadOnly() {
		s.print("SET default_transaction_read_only = off;\n\n")
	}
	s.state = State{}
	s.fixedState()
	return nil
}

// mayBeReadOnly tells whether the archive's database has a default_transaction_read_only of its own, which is for when it has been restored.
func (p *Plan) mayBeReadOnly() bool {
	return slices.ContainsFunc(p.Catalog.Entries, func(e archive.Entry) bool {
		return e.Kind == kindDatabaseProp && strings.Contains(e.DDL, "default_transaction_read_only")
	})
}

// isConnValue tells whether a value needs no quotes in a connection string.
func isConnValue(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '.'
	}) < 0
}

// connValue quotes a value for a connection string.
func connValue(s string) string {
	if isConnValue(s) {
		return s
	}
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
