package fanout

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/pgark/pgark/archive"
)

// globalNulls are the texts that an entry of the server does not have.
const globalNulls = archive.NullSchema | archive.NullOwner | archive.NullDrop | archive.NullCopy | archive.NullTablespace | archive.NullTableAM

// globalsParser makes entries of the statements that pg_dumpall wrote. Not one is lost but those of its own session, and, where passwords
// are not wanted, those that are about passwords alone.
type globalsParser struct {
	next      int32
	passwords bool
	std       bool // standard_conforming_strings of the text
	entries   []archive.Entry
	byKey     map[string]int // places of entries that more statements may belong to
	bracket   *globalsBracket
	left      int // statements that were left out because of passwords
}

// globalsBracket is SET ... and RESET ... around some statements, without which they don't mean the same.
type globalsBracket struct {
	prefix string // until it has gone into an entry
	entry  int    // that got a statement last, -1 for none
	left   bool   // what it was around was left out
}

// parseGlobals makes entries of what pg_dumpall wrote, numbered from first on.
func parseGlobals(text string, first int32, passwords bool) *globalsParser {
	g := &globalsParser{next: first, passwords: passwords, std: true, byKey: make(map[string]int)}
	g.lex(text)
	if g.bracket != nil {
		g.closeBracket("")
	}
	return g
}

// lex divides the text into statements. Lines for psql (\restrict, \connect) stand between them, and are none.
func (g *globalsParser) lex(text string) {
	l := lexer{sql: text, std: true}
	for l.skipBlank(); l.at < len(text); l.skipBlank() {
		if text[l.at] == '\\' {
			l.at += untilAfter(text[l.at:], "\n", 0)
			continue
		}
		l.std, l.depth = g.std, 0
		first, ended := len(l.tokens), false
		for l.at < len(text) && !ended {
			l.next()
			last := l.tokens[len(l.tokens)-1]
			ended = last.kind == tokenMark && last.depth == 0 && text[last.from] == ';'
			l.skipBlank()
		}
		tokens := l.tokens[first:len(l.tokens):len(l.tokens)]
		if ended {
			tokens = tokens[:len(tokens)-1]
		}
		if len(tokens) > 0 {
			g.statement(&statement{sql: text, tokens: tokens})
		}
	}
}

// statement files one statement.
func (g *globalsParser) statement(s *statement) {
	switch {
	case s.is(0, "SET", "standard_conforming_strings") && len(s.tokens) == 4:
		g.std = !s.isAny(len(s.tokens)-1, "off")
		return
	case s.is(0, "SET") && s.isAny(1, "default_transaction_read_only", "client_encoding", "escape_string_warning") && len(s.tokens) == 4:
		return // of the script's own session
	case !g.passwords && g.withoutPassword(s):
		return
	}
	text := s.result() + ";\n"
	switch b := g.bracket; {
	case s.is(0, "SET"):
		if b != nil {
			g.closeBracket("")
		}
		g.bracket = &globalsBracket{prefix: text, entry: -1}
		return
	case s.is(0, "RESET") && b != nil:
		g.closeBracket(text)
		return
	case b != nil:
		text, b.prefix = b.prefix+text, ""
	}
	i := g.classify(s, text)
	if g.bracket != nil {
		g.bracket.entry = i
	}
}

// closeBracket ends the statements around some others. What is around none is kept by itself, unless what was there had to be left out.
func (g *globalsParser) closeBracket(end string) {
	b := g.bracket
	g.bracket = nil
	switch {
	case b.entry >= 0:
		g.entries[b.entry].DDL += end
	case !b.left:
		g.put(kindGlobal, "SET", "", b.prefix+end)
	}
}

// withoutPassword takes the password out of a statement, and tells whether nothing is left of it.
func (g *globalsParser) withoutPassword(s *statement) bool {
	var kept []int // tokens
	for i := range s.tokens {
		switch n := len(kept); {
		case s.isAny(i, "pg_password_history", "rolpassword"): // Cloudberry writes the catalog itself
			g.left++
			if g.bracket != nil {
				g.bracket.left = true
			}
			return true
		case s.tokens[i].kind == tokenString && n > 0 && s.is(kept[n-1], "PASSWORD"):
			from := kept[n-1]
			if kept = kept[:n-1]; n > 1 && s.isAny(kept[n-2], "ENCRYPTED", "UNENCRYPTED") {
				from, kept = kept[n-2], kept[:n-2]
			}
			s.cut(from, i)
		default:
			kept = append(kept, i)
		}
	}
	return false
}

// warn tells what is not in the entries although the server has it.
func (g *globalsParser) warn(log *slog.Logger) {
	if g.left > 0 {
		log.Warn(fmt.Sprintf("%d statements on former passwords are left out, since passwords were not asked for", g.left))
	}
}

// put adds a statement to the entry that it belongs to, a new one unless key names one that is there; "" never does. It returns its place.
func (g *globalsParser) put(kind, name, key, text string, deps ...int32) int {
	i, ok := g.byKey[key]
	if key == "" || !ok {
		i = len(g.entries)
		g.entries = append(g.entries, archive.Entry{
			ID: g.next, TableOID: archive.GlobalTable(kind), Kind: kind, Name: name, Section: archive.SectionNone, Nulls: globalNulls,
		})
		g.next++
		if key != "" {
			g.byKey[key] = i
		}
	}
	e := &g.entries[i]
	e.DDL += text
	for _, id := range deps {
		if id != 0 && id != e.ID && !slices.Contains(e.Deps, id) {
			e.Deps = append(e.Deps, id)
		}
	}
	return i
}

// id is that of the entry with a key, 0 if there is none.
func (g *globalsParser) id(key string) int32 {
	if i, ok := g.byKey[key]; ok {
		return g.entries[i].ID
	}
	return 0
}
