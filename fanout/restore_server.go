package fanout

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/wire"
)

// kindServer is the kind of entry of a foreign server.
const kindServer = "SERVER"

// redirectServers gives a copy of a catalog in which foreign servers lead elsewhere. A server that the catalog does not
// have, an option that is not the server's, and a definition that is not as pg_dump writes it are refused.
func redirectServers(cat *archive.Catalog, servers map[string]map[string]string) (*archive.Catalog, error) {
	if len(servers) == 0 {
		return cat, nil
	}
	changed := *cat
	changed.Entries = slices.Clone(cat.Entries)
	left := maps.Clone(servers)
	var known []string
	for i := range changed.Entries {
		e := &changed.Entries[i]
		if e.Kind != kindServer {
			continue
		}
		known = append(known, e.Name)
		options, ok := servers[e.Name]
		if !ok {
			continue
		}
		delete(left, e.Name)
		ddl, err := redirectServer(e.DDL, options)
		if err != nil {
			return nil, fmt.Errorf("foreign server %s: %w", e.Name, err)
		}
		e.DDL = ddl
	}
	if len(left) == 0 {
		return &changed, nil
	}
	if len(known) == 0 {
		known = []string{"none"}
	}
	unknown := slices.Sorted(maps.Keys(left))[0]
	return nil, fmt.Errorf("%w: the archive has no foreign server %q: it has %s", ErrUsage, unknown, strings.Join(known, ", "))
}

// placeOptions are the options of a server that say where it is. They are replaced together.
func placeOptions() []string { return []string{"host", "hostaddr", "port", "dbname", "service"} }

// whoOptions belong to user mappings.
func whoOptions() []string { return []string{"user", "password", "passfile", "sslpassword"} }

// redirectServer replaces options in CREATE SERVER name [TYPE 't'] [VERSION 'v'] FOREIGN DATA WRAPPER w [OPTIONS (
// name 'value', ...)]; what follows stays as it is.
func redirectServer(ddl string, with map[string]string) (string, error) {
	for _, name := range whoOptions() {
		if _, ok := with[name]; ok {
			return "", fmt.Errorf("%w: the option %q belongs to a user mapping, not to a server: change it there once the definitions are restored",
				ErrUsage, name)
		}
	}
	before, options, after, err := splitServer(ddl)
	if err != nil {
		return "", fmt.Errorf("%w: its definition can't be changed: %w; restore the definitions without --server (-s), "+
			"change it by ALTER SERVER, then load the rows (-a)", ErrUsage, err)
	}
	options = slices.DeleteFunc(options, func(o [2]string) bool {
		_, replaced := with[o[0]]
		return replaced || slices.Contains(placeOptions(), o[0])
	})
	for _, name := range slices.Sorted(maps.Keys(with)) {
		options = append(options, [2]string{name, with[name]})
	}
	list := make([]string, len(options))
	for i, o := range options {
		list[i] = "    " + wire.Ident(o[0]) + " " + wire.Literal(o[1])
	}
	return before + " OPTIONS (\n" + strings.Join(list, ",\n") + "\n)" + after, nil
}

var (
	errNoServer  = errors.New("it is no CREATE SERVER as pg_dump writes it")
	errNoOptions = errors.New("its options are not as pg_dump writes them: a name and a value in quotes each, without backslashes")
)

// splitServer takes a CREATE SERVER apart: what stands before its options, these, and what follows them.
func splitServer(ddl string) (before string, options [][2]string, after string, err error) {
	all := lexStatements(ddl, true)
	if len(all) == 0 {
		return "", nil, "", errNoServer
	}
	s := all[0]
	end := len(s.tokens)
	if at := s.find("OPTIONS", "("); at >= 0 {
		if options, err = s.options(at + 1); err != nil {
			return "", nil, "", err
		}
		end = at
	}
	after = ddl[s.tokens[len(s.tokens)-1].to:]
	if end < 7 || !s.is(0, "CREATE", "SERVER") || !s.is(end-4, "FOREIGN", "DATA", "WRAPPER") || !strings.HasPrefix(after, ";") {
		return "", nil, "", errNoServer
	}
	return ddl[:s.tokens[end-1].to], options, after, nil
}

// options reads (name 'value', ...) at the end of a statement.
func (s *statement) options(open int) ([][2]string, error) {
	end := s.closing(open)
	if !s.is(end, ")") || end != len(s.tokens)-1 {
		return nil, errNoOptions
	}
	var options [][2]string
	for _, item := range s.list(open) {
		if item[1]-item[0] != 2 || !s.isName(item[0]) {
			return nil, errNoOptions
		}
		name, value := s.text(item[0]), s.text(item[0]+1)
		if strings.HasPrefix(strings.ToLower(name), "u&") || !strings.HasPrefix(value, "'") || strings.Contains(value, `\`) {
			return nil, errNoOptions
		}
		options = append(options, [2]string{unquoteName(name), literalText(value)})
	}
	return options, nil
}
