package fanout

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrFilterFile is wrapped by errors about a --filter file.
var ErrFilterFile = errors.New("bad filter file")

// maxFilterFile bounds what is read of a filter file, in bytes.
const maxFilterFile = 16 << 20

// ParseFilterFile reads a filter file as pg_dump 17's --filter has it and adds what it says to f: lines of
// "include|exclude  schema|table|table_and_children|table_data|table_data_and_children|extension  PATTERN", with
// comments from # to the end of the line. A quoted part of a pattern may span lines. "include foreign_data" names servers.
func ParseFilterFile(r io.Reader, f *Filter) error {
	return parseFilterFile(r, f.filterList, func(pattern string) string { return pattern })
}

// ParseSelectionFile reads a filter file as pg_restore 17's --filter has it and adds what it says to s: lines of
// "include  schema|table|index|trigger|function  NAME" and "exclude  schema  NAME", with comments. Names are exact; of one in double
// quotes, which may span lines, it is what is between them.
func ParseSelectionFile(r io.Reader, s *Selection) error {
	return parseFilterFile(r, s.filterList, exactName)
}

// parseFilterFile reads a filter file. list gives the list that lines of a kind, "include table", add to, nil where there is none; as makes of a
// pattern what is added.
func parseFilterFile(r io.Reader, list func(kind string) *[]string, as func(pattern string) string) error {
	text, err := io.ReadAll(io.LimitReader(r, maxFilterFile+1))
	if err != nil {
		return err
	}
	if len(text) > maxFilterFile {
		return fmt.Errorf("%w: longer than %d bytes", ErrFilterFile, maxFilterFile)
	}
	s := filterScanner{rest: string(text), line: 1}
	for s.nextCommand() {
		if err := s.command(list, as); err != nil {
			return err
		}
	}
	return nil
}

// filterScanner walks through a filter file.
type filterScanner struct {
	rest string
	line int
}

func (s *filterScanner) errorf(format string, args ...any) error {
	return fmt.Errorf("%w, line %d: %s", ErrFilterFile, s.line, fmt.Sprintf(format, args...))
}

// nextCommand skips blank lines and comments. It tells whether anything is left.
func (s *filterScanner) nextCommand() bool {
	for s.rest != "" {
		switch c := s.rest[0]; {
		case c == '\n':
			s.line++
			s.rest = s.rest[1:]
		case c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f':
			s.rest = s.rest[1:]
		case c == '#':
			s.restOfLine()
		default:
			return true
		}
	}
	return false
}

func (s *filterScanner) restOfLine() string {
	i := strings.IndexByte(s.rest, '\n')
	if i < 0 {
		i = len(s.rest)
	}
	line := s.rest[:i]
	s.rest = s.rest[i:]
	return line
}

func (s *filterScanner) blanks() { s.rest = strings.TrimLeft(s.rest, " \t\r\v\f") }

func (s *filterScanner) word() string {
	s.blanks()
	i := strings.IndexAny(s.rest, " \t\r\v\f\n#")
	if i < 0 {
		i = len(s.rest)
	}
	w := s.rest[:i]
	s.rest = s.rest[i:]
	return w
}

// command reads one line's words and its pattern.
func (s *filterScanner) command(list func(kind string) *[]string, as func(pattern string) string) error {
	verb := s.word()
	kind := verb + " " + s.word()
	target := list(kind)
	switch {
	case target != nil:
	case verb != "include" && verb != "exclude":
		return s.errorf("%q: a line begins with include or exclude", verb)
	default:
		return s.errorf("%q is not supported", kind)
	}
	p, err := s.pattern()
	if err != nil {
		return err
	}
	if p == "" {
		return s.errorf("a pattern is missing after %q", kind)
	}
	*target = append(*target, as(p))
	return nil
}

func (f *Filter) filterList(kind string) *[]string {
	switch kind {
	case "include schema":
		return &f.Schemas
	case "exclude schema":
		return &f.ExcludeSchemas
	case "include table":
		return &f.Tables
	case "exclude table":
		return &f.ExcludeTables
	case "include table_and_children":
		return &f.TablesAndChildren
	case "exclude table_and_children":
		return &f.ExcludeTablesAndChildren
	case "exclude table_data":
		return &f.ExcludeTableData
	case "exclude table_data_and_children":
		return &f.ExcludeTableDataAndChildren
	case "include foreign_data":
		return &f.ForeignServers
	case "include extension":
		return &f.Extensions
	case "exclude extension":
		return &f.ExcludeExtensions
	}
	return nil
}

func (s *Selection) filterList(kind string) *[]string {
	switch kind {
	case "include schema":
		return &s.Schemas
	case "exclude schema":
		return &s.ExcludeSchemas
	case "include table":
		return &s.Tables
	case "include index":
		return &s.Indexes
	case "include trigger":
		return &s.Triggers
	case "include function":
		return &s.Functions
	}
	return nil
}

// exactName is the name that is meant: what is in double quotes, if all of it is; else with blanks as in an archive's list, "f(integer, text)".
func exactName(name string) string {
	if inner, quoted := strings.CutPrefix(name, `"`); quoted {
		if inner, quoted = strings.CutSuffix(inner, `"`); quoted && !strings.Contains(strings.ReplaceAll(inner, `""`, ""), `"`) {
			return unquoteName(name)
		}
		return name // of several parts
	}
	name = strings.Join(strings.Fields(strings.ReplaceAll(name, ",", ", ")), " ")
	for _, sign := range []string{" ,", " (", "( ", " )"} {
		name = strings.ReplaceAll(name, sign, strings.TrimSpace(sign))
	}
	return name
}

// pattern reads up to a comment or the end of the line, but over line ends inside double quotes. White space between
// the parts of a dotted name is dropped, as pg_dump does.
func (s *filterScanner) pattern() (string, error) {
	s.blanks()
	var b strings.Builder
	quoted := false
	for s.rest != "" {
		c := s.rest[0]
		if !quoted && (c == '\n' || c == '#') {
			break
		}
		if c == '\n' {
			s.line++
		}
		if c == '"' {
			quoted = !quoted
		}
		s.rest = s.rest[1:]
		if !quoted && (c == ' ' || c == '\t' || c == '\r') && dropsBlank(b.String(), s.rest) {
			continue
		}
		b.WriteByte(c)
	}
	if quoted {
		return "", s.errorf("a double quote is not closed")
	}
	s.restOfLine()
	return strings.TrimRight(b.String(), " \t\r\v\f"), nil
}

// dropsBlank tells whether a blank stands beside the dot of a name.
func dropsBlank(before, after string) bool {
	after = strings.TrimLeft(after, " \t\r")
	return strings.HasSuffix(before, ".") || strings.HasPrefix(after, ".")
}
