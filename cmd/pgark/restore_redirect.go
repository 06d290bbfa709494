package main

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
	"github.com/pgark/pgark/verify"
	"github.com/pgark/pgark/wire"
)

// parseRedirect reads the --redirect-schema flags: OLD=NEW, exact names. A name that holds = stands in double quotes, as in SQL.
func parseRedirect(flags []string) (map[string]string, error) {
	to := make(map[string]string, len(flags))
	for _, text := range flags {
		from, rest, ok := cutName(text)
		if !ok || !strings.HasPrefix(rest, "=") {
			return nil, usagef("--redirect-schema %s: must be OLD=NEW", quoteArg(text))
		}
		target, rest, ok := cutName(rest[1:])
		if !ok || rest != "" {
			return nil, usagef("--redirect-schema %s: must be OLD=NEW; a name with = in it stands in double quotes", quoteArg(text))
		}
		if _, twice := to[from]; twice {
			return nil, usagef("--redirect-schema: schema %s is given twice", quoteArg(from))
		}
		if from == target {
			return nil, usagef("--redirect-schema %s: a schema can't be redirected to itself", quoteArg(text))
		}
		to[from] = target
	}
	return to, nil
}

// cutName takes a name off the begin of a text, which goes to the end or to =.
func cutName(s string) (name, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexByte(s, '=')
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], end > 0
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] != '"':
			b.WriteByte(s[i])
		case i+1 < len(s) && s[i+1] == '"':
			b.WriteByte('"')
			i++
		default:
			return b.String(), s[i+1:], b.Len() > 0
		}
	}
	return "", "", false
}

// aim puts the names of objects and schemas that were given into the encoding of an archive.
func (o *restoreOptions) aim(a contents) error {
	o.to = nil
	cat, err := a.Catalog()
	if err != nil {
		return err
	}
	enc := pgEncoding(cat.Encoding)
	if enc != nil {
		for _, names := range []*[]string{&o.sel.Schemas, &o.sel.ExcludeSchemas, &o.sel.Tables, &o.sel.Indexes, &o.sel.Triggers, &o.sel.Functions} {
			for i, name := range *names {
				if own, err := enc.NewEncoder().String(name); err == nil && utf8.ValidString(name) { // else it may be in that encoding, as pg_restore has it
					(*names)[i] = own
				}
			}
		}
	}
	if len(o.schemas) == 0 || o.list { // the list is of the archive as it is
		return nil
	}
	o.to = make(map[string]string, len(o.schemas))
	for from, to := range o.schemas {
		if enc != nil && !isASCII(from+to) {
			from, err = enc.NewEncoder().String(from)
			if err == nil {
				to, err = enc.NewEncoder().String(to)
			}
			if err != nil {
				return usagef("--redirect-schema: the archive's encoding, %s, does not have all letters of the names", cat.Encoding)
			}
		}
		o.to[from] = to
	}
	return nil
}

// refusal turns names in what is refused, in the encoding of the archived database, into UTF-8.
func refusal(a contents, err error) error {
	var refused *fanout.RedirectError
	if !errors.As(err, &refused) && !errors.Is(err, fanout.ErrNothingMatches) {
		return err
	}
	cat, catErr := a.Catalog()
	if catErr != nil {
		return err
	}
	text := newTextDecoder(cat.Encoding)
	if refused == nil {
		return decodedError{err, text.String(err.Error())}
	}
	for i := range refused.Objects {
		x := &refused.Objects[i]
		x.Object, x.Why = visible(text.String(x.Object)), visible(text.String(x.Why))
	}
	return err
}

// decodedError is an error with names in it, as they are shown.
type decodedError struct {
	error

	text string
}

func (e decodedError) Error() string { return e.text }

func (e decodedError) Unwrap() error { return e.error }

// tellRedirect tells which schemas have become which.
func (o *restoreOptions) tellRedirect() {
	for _, from := range slices.Sorted(maps.Keys(o.schemas)) {
		o.app.tell("redirected: schema %s of the archive to schema %s", visible(wire.Ident(from)), visible(wire.Ident(o.schemas[from])))
	}
}

// tellScriptRedirect tells the same of a script, and what was left as it was.
func (o *restoreOptions) tellScriptRedirect(a contents) error {
	if len(o.to) == 0 {
		return nil
	}
	plan, err := o.plan(a)
	if err != nil {
		return err
	}
	text := newTextDecoder(plan.Catalog.Encoding)
	for _, w := range plan.Warnings {
		o.app.say("warning: %s", visible(text.String(w)))
	}
	o.tellRedirect()
	return nil
}

// redirectedContent is an archive with its tables where they were restored.
type redirectedContent struct {
	verify.Content
	to map[string]string
}

// Catalog implements verify.Content.
func (c redirectedContent) Catalog() (*archive.Catalog, error) {
	cat, err := c.Content.Catalog()
	if err != nil {
		return nil, err
	}
	return fanout.RedirectTables(cat, c.to), nil
}

// Streams implements verify.Content.
func (c redirectedContent) Streams() []archive.Stream {
	return fanout.RedirectStreams(c.Content.Streams(), c.to)
}
