package fanout

import (
	"context"
	"fmt"
	"slices"
	"strings"

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
	return leftStatistics(all-len(p.Steps), "table", "they are rows of a Greenplum's catalog, which a script does not write")
}

// leftStatistics says that statistics are left out.
func leftStatistics(count int, of, why string) string {
	if count != 1 {
		of = strings.ReplaceAll(of+"s", " or index", "s and indexe")
	}
	return fmt.Sprintf("the statistics of %d %s are left out, since %s: run ANALYZE", count, of, why)
}

// withoutStatistics is a catalog without the planner's statistics. Nothing else depends on them.
func withoutStatistics(cat *archive.Catalog) *archive.Catalog {
	less := *cat
	less.Entries = slices.DeleteFunc(slices.Clone(cat.Entries), func(e archive.Entry) bool { return isStatistics(&e) })
	return &less
}

// majorStatistics is the first release with functions to restore statistics, pg_restore_relation_stats and others, and the first whose pg_dump
// can dump them.
const majorStatistics = 18

// leaveStatistics leaves out statistics that the target can't take: rows of a catalog, where the target's is another one or may not be
// written, and calls of functions that it does not have.
func (r *restoreRun) leaveStatistics(ctx context.Context, s *loadSession) error {
	var rows, calls []*Step
	for _, step := range r.steps {
		switch {
		case step.Entry.CatalogStatistics():
			rows = append(rows, step)
		case step.Entry.Kind == kindStatistics:
			calls = append(calls, step)
		}
	}
	if len(rows) > 0 {
		why, err := r.againstStatistics(ctx, s)
		if err != nil {
			return err
		}
		if err := r.leaveSteps(rows, "table", why); err != nil {
			return err
		}
	}
	why := ""
	if s.conn.ServerVersionNum() < majorStatistics*10000 {
		version, _, _ := strings.Cut(s.conn.ServerVersion(), " ")
		why = fmt.Sprintf("PostgreSQL restores them from version %d on, and the target is of version %s", majorStatistics, version)
	}
	return r.leaveSteps(calls, "table or index", why)
}

// leaveSteps leaves out the statistics of steps, if there is a reason. If nothing else is wanted, the restore has failed.
func (r *restoreRun) leaveSteps(steps []*Step, of, why string) error {
	if why == "" || len(steps) == 0 {
		return nil
	}
	if len(steps) == len(r.steps) {
		return fmt.Errorf("there is nothing to restore but statistics, and none of them can be: %s; run ANALYZE", why)
	}
	left := make(map[*Step]bool, len(steps)) // there may be two for each of many thousand tables
	for _, s := range steps {
		left[s] = true
	}
	r.steps = slices.DeleteFunc(r.steps, func(s *Step) bool { return left[s] })
	r.warn(leftStatistics(len(steps), of, why))
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
