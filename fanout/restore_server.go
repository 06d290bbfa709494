package fanout

import (
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
			return "", fmt.Errorf("%w: the option %q belongs to a user mapping, not to a server", ErrUsage, name)
		}
	}
	p := optionParser{rest: ddl}
	has, err := p.untilOptions()
	if err != nil {
		return "", err
	}
	var options [][2]string
	if has {
		if options, err = p.options(); err != nil {
			return "", err
		}
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
	return p.before + " OPTIONS (\n" + strings.Join(list, ",\n") + "\n)" + p.rest, nil
}

// optionParser reads a CREATE SERVER as pg_dump writes it.
type optionParser struct {
	before string // what was read before the options
	rest   string
}

func (p *optionParser) bad(what string) error {
	return fmt.Errorf("%w: its definition can't be changed: %s", ErrUsage, what)
}

// untilOptions reads up to the list of options, or to the end of the statement where there is none, and tells which.
func (p *optionParser) untilOptions() (has bool, err error) {
	all := p.rest
	words := []string{}
	for {
		word, err := p.word()
		switch {
		case err != nil:
			return false, err
		case word == ";":
			if !startsServer(words) {
				return false, p.bad("it is no CREATE SERVER")
			}
			p.before, p.rest = strings.TrimRight(all[:len(all)-len(p.rest)-1], " \n"), ";"+p.rest
			return false, nil
		case word == "OPTIONS":
			if !startsServer(words) {
				return false, p.bad("it is no CREATE SERVER")
			}
			p.before = strings.TrimRight(all[:len(all)-len(p.rest)-len(word)], " \n")
			if word, err = p.word(); err != nil || word != "(" {
				return false, p.bad("no list follows OPTIONS")
			}
			return true, nil
		}
		words = append(words, word)
	}
}

// startsServer tells whether the words are CREATE SERVER name ... FOREIGN DATA WRAPPER name.
func startsServer(words []string) bool {
	n := len(words)
	return n >= 7 && words[0] == "CREATE" && words[1] == "SERVER" && slices.Equal(words[n-4:n-1], []string{"FOREIGN", "DATA", "WRAPPER"})
}

// options reads name 'value', ... up to the closing parenthesis.
func (p *optionParser) options() ([][2]string, error) {
	var options [][2]string
	for {
		name, err := p.word()
		if err != nil {
			return nil, err
		}
		value, err := p.word()
		if err != nil {
			return nil, err
		}
		if text, ok := strings.CutPrefix(name, `"`); ok {
			name = strings.ReplaceAll(strings.TrimSuffix(text, `"`), `""`, `"`)
		}
		text, ok := strings.CutPrefix(value, "'")
		if !ok {
			return nil, p.bad("option " + name + " has no quoted value")
		}
		options = append(options, [2]string{name, strings.ReplaceAll(strings.TrimSuffix(text, "'"), "''", "'")})
		end, err := p.word()
		switch {
		case err != nil:
			return nil, err
		case end == ")":
			return options, nil
		case end != ",":
			return nil, p.bad("unexpected " + end + " between options")
		}
	}
}

// word takes the next word: a name, quoted or not, a string, or a punctuation mark. Quotes stay.
func (p *optionParser) word() (string, error) {
	p.rest = strings.TrimLeft(p.rest, " \n\t")
	if p.rest == "" {
		return "", p.bad("it ends too early")
	}
	n := 1
	switch c := p.rest[0]; {
	case c == '\'' || c == '"':
		n = quotedLen(p.rest)
		if n == 0 {
			return "", p.bad("a quote is not closed")
		}
		if c == '\'' && strings.Contains(p.rest[:n], `\`) {
			return "", p.bad("a value has a backslash")
		}
	case isWord(c):
		for n < len(p.rest) && isWord(p.rest[n]) {
			n++
		}
	case !strings.ContainsRune("(),;", rune(c)):
		return "", p.bad(fmt.Sprintf("unexpected %q", c))
	}
	word := p.rest[:n]
	p.rest = p.rest[n:]
	return word, nil
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// quotedLen is the length of a quoted word, doubled quotes inside included; 0 if it has no end.
func quotedLen(s string) int {
	for i := 1; i < len(s); i++ {
		if s[i] != s[0] {
			continue
		}
		if i+1 < len(s) && s[i+1] == s[0] {
			i++
			continue
		}
		return i + 1
	}
	return 0
}
