package main

import (
	"strings"

	"github.com/spf13/pflag"
)

// laterFlags are flags that the command line promises and this version does not have. They are known, so that the
// refusal can say so; they are hidden, so that help lists only what works.
type laterFlags struct{ names []string }

// add defines flags without a value.
func (l *laterFlags) add(f *pflag.FlagSet, names ...string) {
	for _, name := range names {
		f.Bool(name, false, "not in this version")
		l.hide(f, name)
	}
}

func (l *laterFlags) hide(f *pflag.FlagSet, name string) {
	f.Lookup(name).Hidden = true
	l.names = append(l.names, name)
}

// validate refuses those that were given.
func (l *laterFlags) validate(f *pflag.FlagSet) error {
	var given []string
	for _, name := range l.names {
		if f.Changed(name) {
			given = append(given, "--"+name)
		}
	}
	if len(given) == 0 {
		return nil
	}
	return notYet(strings.Join(given, ", "))
}
