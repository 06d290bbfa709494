package fanout

import (
	"strings"

	"github.com/pgark/pgark/archive"
)

// Without says what of a catalog is left out of a restore, in pg_restore's terms.
type Without struct {
	Tablespaces        bool // everything goes into the target's default one
	TableAccessMethods bool // every table gets the target's default one
	Publications       bool
	Subscriptions      bool
	SecurityLabels     bool
	Policies           bool // row security, too (pg_restore 18)
}

// leavesOut tells whether an entry is left out, what belongs to one with it.
func (w *Without) leavesOut(e *archive.Entry) bool {
	kind := e.Kind
	switch kind {
	case kindLabel:
		if w.SecurityLabels {
			return true
		}
		kind, _, _ = strings.Cut(e.Name, " ")
	case kindComment, kindACL:
		kind, _, _ = strings.Cut(e.Name, " ")
	}
	switch kind {
	case "PUBLICATION", "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA":
		return w.Publications
	case "SUBSCRIPTION", "SUBSCRIPTION TABLE":
		return w.Subscriptions
	case "POLICY", "ROW SECURITY":
		return w.Policies
	case kindTablespace: // of the server
		return w.Tablespaces
	}
	return false
}
