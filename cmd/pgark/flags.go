package main

import (
	"regexp"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/pgark/pgark/fanout"
)

// addSelectFlags defines what dump and restore have in common.
func addSelectFlags(f *pflag.FlagSet, schemaOnly, dataOnly *bool, sections *[]string, noOwner, noACL, noComments *bool) {
	f.BoolVarP(schemaOnly, "schema-only", "s", false, "only definitions, no rows")
	f.BoolVarP(dataOnly, "data-only", "a", false, "only rows, no definitions")
	f.StringArrayVar(sections, "section", nil, "only this `section`: pre-data, data, post-data; may be repeated")
	f.BoolVarP(noOwner, "no-owner", "O", false, "leave out owners")
	f.BoolVarP(noACL, "no-privileges", "x", false, "leave out privileges (grant, revoke)")
	f.BoolVar(noACL, "no-acl", false, "the same as --no-privileges")
	f.BoolVar(noComments, "no-comments", false, "leave out comments")
	f.Lookup("no-acl").Hidden = true
}

// addWithoutFlags defines what both can leave out.
func addWithoutFlags(f *pflag.FlagSet, w *fanout.Without) {
	f.BoolVar(&w.Tablespaces, "no-tablespaces", false, "everything goes into the default tablespace")
	f.BoolVar(&w.TableAccessMethods, "no-table-access-method", false, "every table gets the default access method")
	f.BoolVar(&w.Publications, "no-publications", false, "leave out publications")
	f.BoolVar(&w.Subscriptions, "no-subscriptions", false, "leave out subscriptions")
	f.BoolVar(&w.SecurityLabels, "no-security-labels", false, "leave out security labels")
	f.BoolVar(&w.Policies, "no-policies", false, "leave out policies and row security")
}

func validateSelect(schemaOnly, dataOnly bool, sections []string) error {
	if schemaOnly && dataOnly {
		return usagef("-s/--schema-only and -a/--data-only cannot be used together")
	}
	for _, s := range sections {
		switch s {
		case "pre-data", "data", "post-data":
		default:
			return usagef("--section=%s: must be pre-data, data or post-data", s)
		}
	}
	return nil
}

func validateJobs(f *pflag.FlagSet, jobs int) error {
	const most = 1000
	if f.Changed("jobs") && (jobs < 1 || jobs > most) {
		return usagef("-j %d: must be between 1 and %d", jobs, most)
	}
	return nil
}

func validateRoute(route string) error {
	switch route {
	case "auto", "coordinator", "segments", "cursors":
		return nil
	}
	return usagef("--route %s: must be auto, segments, cursors or coordinator", route)
}

// parseTimeout reads a time as PostgreSQL's settings have it: milliseconds, or a number with a unit. 0 means no limit.
func parseTimeout(flag, s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	m := regexp.MustCompile(`^\s*(\d+(?:\.\d+)?)\s*(us|ms|s|min|h|d|)\s*$`).FindStringSubmatch(s)
	if m == nil {
		return 0, usagef("--%s=%s: not a time; write milliseconds, or a number with us, ms, s, min, h or d", flag, s)
	}
	units := map[string]time.Duration{
		"us": time.Microsecond, "": time.Millisecond, "ms": time.Millisecond, "s": time.Second,
		"min": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
	}
	v, err := strconv.ParseFloat(m[1], 64)
	const most = 1<<31 - 1 // milliseconds that the server's settings hold
	if err != nil || v*float64(units[m[2]]) > float64(most*time.Millisecond) {
		return 0, usagef("--%s=%s: too long", flag, s)
	}
	return time.Duration(v * float64(units[m[2]])), nil
}
