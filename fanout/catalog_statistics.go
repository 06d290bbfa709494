package fanout

import (
	"context"
	"fmt"
	"slices"

	"github.com/pgark/pgark/archive"
)

// majorBooleanMods is the first Greenplum in which allow_system_table_mods is on or off. Before, it says what may be changed.
const majorBooleanMods = 6

// catalogSQL writes a table's statistics into the catalog.
func (p *Plan) catalogSQL(e *archive.Entry) []string {
	on := "on"
	if dumpMajor(p.Catalog.ServerVersion) < majorBooleanMods {
		on = "'DML'"
	}
	return []string{"SET allow_system_table_mods = " + on + ";", e.DDL, "RESET allow_system_table_mods;"}
}

// withoutCatalogStatistics takes statistics out of a plan that only a Greenplum can take, and says so; "" if there are none.
func (p *Plan) withoutCatalogStatistics() string {
	all := len(p.Steps)
	p.Steps = slices.DeleteFunc(p.Steps, func(s *Step) bool { return s.Entry.CatalogStatistics() })
	if len(p.Steps) == all {
		return ""
	}
	return leftStatistics(all-len(p.Steps), "they are rows of a Greenplum's catalog, which a script does not write")
}

// leftStatistics says that statistics are left out.
func leftStatistics(tables int, why string) string {
	of := "1 table"
	if tables != 1 {
		of = fmt.Sprintf("%d tables", tables)
	}
	return fmt.Sprintf("the statistics of %s are left out, since %s: run ANALYZE", of, why)
}

// leaveStatistics leaves out statistics that are rows of a catalog, where the target's is another one, or may not be written.
func (r *restoreRun) leaveStatistics(ctx context.Context, s *loadSession) error {
	count := 0
	for _, step := range r.steps {
		if step.Entry.CatalogStatistics() {
			count++
		}
	}
	if count == 0 {
		return nil
	}
	why, err := r.againstStatistics(ctx, s)
	if err != nil || why == "" {
		return err
	}
	r.steps = slices.DeleteFunc(r.steps, func(s *Step) bool { return s.Entry.CatalogStatistics() })
	r.warn(leftStatistics(count, why))
	return nil
}

// againstStatistics says why the target can't take them; "" if it can.
func (r *restoreRun) againstStatistics(ctx context.Context, s *loadSession) (string, error) {
	cat, err := r.content.Catalog() // as it was before any translation
	if err != nil {
		return "", fmt.Errorf("read the catalog: %w", err)
	}
	major := dumpMajor(cat.ServerVersion)
	of := fmt.Sprintf("they are rows of the catalog of %s %d", cat.Product, major)
	if r.cluster == nil {
		return of + ", and it is not known what the target is", nil
	}
	d := &r.cluster.Dialect
	if d.Product != cat.Product || dumpMajor(d.Version) != major || r.plan.Options.ToPostgres {
		return fmt.Sprintf("%s, and the target is %s %s", of, d.Product, d.Version), nil
	}
	super, err := s.conn.QueryString(ctx, "SELECT pg_catalog.current_setting('is_superuser')")
	if err != nil {
		return "", fmt.Errorf("ask whether the role is a superuser: %w", err)
	}
	if super != "on" {
		return "only a superuser may write them into the catalog", nil
	}
	return "", nil
}
