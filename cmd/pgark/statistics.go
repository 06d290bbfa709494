package main

import "github.com/spf13/pflag"

// statisticsOptions are the flags of pg_dump 18 and pg_restore 18 for the planner's statistics, and those that leave definitions or rows
// out but not the statistics.
type statisticsOptions struct {
	with, only, none bool
	noSchema, noData bool
}

// addFlags defines them; with is what --statistics does.
func (o *statisticsOptions) addFlags(f *pflag.FlagSet, with string) {
	f.BoolVar(&o.with, "statistics", false, with)
	f.BoolVar(&o.only, "statistics-only", false, "only the planner's statistics, neither definitions nor rows")
	f.BoolVar(&o.none, "no-statistics", false, "leave out the planner's statistics")
	f.BoolVar(&o.noSchema, "no-schema", false, "leave out definitions, but not statistics as -a does")
	f.BoolVar(&o.noData, "no-data", false, "leave out rows, but not statistics as -s does")
}

// validate refuses what does not go together, and makes of --statistics-only what it is short for.
func (o *statisticsOptions) validate(schemaOnly, dataOnly bool) error {
	for _, pair := range []struct {
		wrong bool
		text  string
	}{
		{schemaOnly && o.only, "-s/--schema-only and --statistics-only"},
		{schemaOnly && o.with, "-s/--schema-only and --statistics"},
		{schemaOnly && o.noSchema, "-s/--schema-only and --no-schema"},
		{dataOnly && o.only, "-a/--data-only and --statistics-only"},
		{dataOnly && o.with, "-a/--data-only and --statistics"},
		{dataOnly && o.noData, "-a/--data-only and --no-data"},
		{o.only && o.none, "--statistics-only and --no-statistics"},
		{o.with && o.none, "--statistics and --no-statistics"},
	} {
		if pair.wrong {
			return usagef("%s cannot be used together", pair.text)
		}
	}
	if o.only {
		o.with, o.noSchema, o.noData = true, true, true
	}
	if o.noSchema && o.noData && o.none {
		return usagef("--no-schema, --no-data and --no-statistics together leave nothing")
	}
	return nil
}
