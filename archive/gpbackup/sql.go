package gpbackup

import "strings"

// sqlLength passes one lexical element of SQL that may hold anything: a string, a quoted name, a dollar quote, a comment. It
// returns 0 for other bytes.
func sqlLength(s string) int {
	switch {
	case s[0] == '\'' || s[0] == '"':
		return quotedLength(s, s[0], false)
	case (s[0] == 'E' || s[0] == 'e') && len(s) > 1 && s[1] == '\'':
		return 1 + quotedLength(s[1:], '\'', true)
	case strings.HasPrefix(s, "--"):
		if i := strings.IndexByte(s, '\n'); i >= 0 {
			return i + 1
		}
		return len(s)
	case strings.HasPrefix(s, "/*"):
		if i := strings.Index(s[2:], "*/"); i >= 0 {
			return i + 4
		}
		return len(s)
	case s[0] == '$':
		end := strings.IndexByte(s[1:], '$')
		if end > 0 && s[1] >= '0' && s[1] <= '9' { // a parameter
			return 0
		}
		if end < 0 || strings.Trim(s[1:1+end], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
			return 0
		}
		tag := s[:end+2]
		if i := strings.Index(s[len(tag):], tag); i >= 0 {
			return 2*len(tag) + i
		}
		return len(s)
	}
	return 0
}

func quotedLength(s string, mark byte, escapes bool) int {
	for i := 1; i < len(s); i++ {
		switch {
		case escapes && s[i] == '\\':
			i++
		case s[i] == mark && i+1 < len(s) && s[i+1] == mark:
			i++
		case s[i] == mark:
			return i + 1
		}
	}
	return len(s)
}

// wordByte tells the bytes of names that are not quoted.
func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}

// elementLength is sqlLength at a place within a text: names may have dollars in them, and end in E.
func elementLength(sql string, at int) int {
	if at > 0 && wordByte(sql[at-1]) && sql[at] != '\'' && sql[at] != '"' {
		return 0
	}
	return sqlLength(sql[at:])
}

// splitSQL divides a text into its statements, without the semicolons. Those in parentheses, as rules have them, are not at
// an end.
func splitSQL(sql string) []string {
	var all []string
	from, depth := 0, 0
	flush := func(to int) {
		if st := strings.TrimSpace(sql[from:to]); st != "" {
			all = append(all, st)
		}
	}
	for i := 0; i < len(sql); {
		if n := elementLength(sql, i); n > 0 {
			i += n
			continue
		}
		switch sql[i] {
		case '(':
			depth++
		case ')':
			depth = max(depth-1, 0)
		case ';':
			if depth == 0 {
				flush(i)
				from = i + 1
			}
		}
		i++
	}
	flush(len(sql))
	return all
}

// after is what follows words in a text, outside of quotes and parentheses.
func after(sql, words string) (rest string, ok bool) {
	depth := 0
	for i := 0; i < len(sql); {
		if n := elementLength(sql, i); n > 0 {
			i += n
			continue
		}
		switch sql[i] {
		case '(':
			depth++
		case ')':
			depth--
		case words[0]:
			if depth == 0 && (i == 0 || !wordByte(sql[i-1])) && strings.HasPrefix(sql[i:], words) {
				return sql[i+len(words):], true
			}
		}
		i++
	}
	return "", false
}

// groupLength is how many bytes a group in parentheses takes at the beginning, 0 if there is none.
func groupLength(s string) int {
	if !strings.HasPrefix(s, "(") {
		return 0
	}
	depth := 0
	for i := 0; i < len(s); {
		if n := elementLength(s, i); n > 0 {
			i += n
			continue
		}
		switch s[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return 0
}

// qualifiedLength is how many bytes a name with an optional schema takes at the beginning.
func qualifiedLength(s string) int {
	n := nameLength(s)
	if n > 0 && strings.HasPrefix(s[n:], ".") {
		if m := nameLength(s[n+1:]); m > 0 {
			return n + 1 + m
		}
	}
	return n
}

// nameLength is how many bytes a name at the beginning takes, quoted or not.
func nameLength(s string) int {
	if s == "" {
		return 0
	}
	if s[0] == '"' {
		return quotedLength(s, '"', false)
	}
	i := 0
	for i < len(s) && wordByte(s[i]) {
		i++
	}
	return i
}

// unquote gives the name that SQL writes; what follows a quoted name, such as the arguments of a function, stays.
func unquote(s string) string {
	if !strings.HasPrefix(s, `"`) {
		return s
	}
	n := quotedLength(s, '"', false)
	if n < 2 || s[n-1] != '"' {
		return s
	}
	return strings.ReplaceAll(s[1:n-1], `""`, `"`) + s[n:]
}

// nameList reads the names in (a,"B c"); nil without a parenthesis.
func nameList(s string) ([]string, bool) {
	s = strings.TrimSpace(s)
	if !strings.HasPrefix(s, "(") {
		return nil, s == ""
	}
	var names []string
	for s = s[1:]; ; s = s[1:] {
		s = strings.TrimLeft(s, " ")
		n := nameLength(s)
		if n == 0 {
			return nil, false
		}
		names = append(names, unquote(s[:n]))
		s = strings.TrimLeft(s[n:], " ")
		if s == ")" {
			return names, true
		}
		if !strings.HasPrefix(s, ",") {
			return nil, false
		}
	}
}

// tableColumns are the columns in CREATE TABLE name ( ... ); nil if they can't be told, empty but not nil if there are none.
func tableColumns(sql string) []string {
	i := 0
	for i < len(sql) && sql[i] != '(' {
		if n := sqlLength(sql[i:]); n > 0 {
			i += n
			continue
		}
		i++
	}
	if i >= len(sql) {
		return nil
	}
	columns := []string{}
	depth, from := 0, i+1
	element := func(to int) {
		item := strings.TrimSpace(sql[from:to])
		n := nameLength(item)
		if n == 0 {
			return
		}
		switch item[:n] {
		case "CONSTRAINT", "CHECK", "PRIMARY", "UNIQUE", "FOREIGN", "EXCLUDE", "LIKE":
			return
		}
		columns = append(columns, unquote(item[:n]))
	}
	for i < len(sql) {
		if n := sqlLength(sql[i:]); n > 0 {
			i += n
			continue
		}
		switch sql[i] {
		case '(', '[':
			depth++
		case ')', ']':
			if depth--; depth == 0 {
				element(i)
				return columns
			}
		case ',':
			if depth == 1 {
				element(i)
				from = i + 1
			}
		}
		i++
	}
	return nil
}
