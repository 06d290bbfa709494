package fanout

import (
	"testing"

	"github.com/pgark/pgark/archive"
)

// Definitions that end in the middle.
func TestOperatorsCutOff(t *testing.T) {
	for _, ddl := range []string{
		"CREATE OPERATOR public.= (LEFTARG = a . b", "CREATE OPERATOR public.= (FUNCTION = f, RIGHTARG = a . b", "CREATE OPERATOR public.= (COMMUTATOR = OPERATOR(",
		"CREATE OPERATOR public.= (NEGATOR = s.", "CREATE OPERATOR public.= (LEFTARG", "CREATE OPERATOR public.= (LEFTARG =", "CREATE OPERATOR",
	} {
		cat := &archive.Catalog{TOCVersion: "1.14", Entries: []archive.Entry{
			{ID: 1, TableOID: 1259, OID: 5, Kind: "TABLE", Schema: "public", Name: "t", Section: archive.SectionPreData, DDL: "CREATE TABLE public.t ();\n"},
			{ID: 2, TableOID: 2617, OID: 6, Kind: "OPERATOR", Schema: "public", Name: "=", Section: archive.SectionPreData, DDL: ddl},
		}}
		if _, err := NewPlan(cat, PlanOptions{WithDependencies: true, Select: Selection{Tables: []string{"t"}}}); err != nil {
			t.Errorf("%q: %v", ddl, err)
		}
	}
}
