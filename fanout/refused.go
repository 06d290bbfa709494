package fanout

import (
	"fmt"

	"github.com/pgark/pgark/archive"
)

// noRows says why there is no stream of a TABLE DATA entry that has data.
func noRows(c any, entry int32) error {
	if r, ok := c.(archive.RowRefuser); ok {
		if err := r.Refused(entry); err != nil {
			return err
		}
	}
	return errNoRows
}

// requireRows refuses what has data of a table that it does not give as rows: a copy of it would lack them, and nobody would notice.
// An archive that was salvaged says itself what it lacks.
func requireRows(c content, cat *archive.Catalog) error {
	m, err := c.Moment()
	if err != nil {
		return fmt.Errorf("read the moment: %w", err)
	}
	if len(m.Losses) > 0 {
		return nil
	}
	var first error
	more := 0
	for i := range cat.Entries {
		e := &cat.Entries[i]
		if e.Kind != kindTableData || !e.HadDumper || len(c.TableStreams(e.ID)) > 0 {
			continue
		}
		if first != nil {
			more++
			continue
		}
		first = fmt.Errorf("table %s: %w", qualifiedID(e.Schema, e.Name), noRows(c, e.ID))
	}
	if more > 0 {
		first = fmt.Errorf("%w (the same holds for %d more tables)", first, more)
	}
	return first
}
