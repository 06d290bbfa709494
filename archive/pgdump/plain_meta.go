package pgdump

import "strings"

// meta takes a command of psql. There are four in scripts of pg_dump; all others run programs, read files, or change how
// psql goes on.
func (p *scriptParser) meta(t sqlToken) {
	from := t.from
	p.in.tok = from
	for {
		if c, ok := p.lx.peek(0); !ok || c == '\n' || p.in.offset()-from > maxWord {
			break
		}
		p.in.pos++
	}
	line := string(p.in.bytes(from, p.in.offset()))
	p.in.tok = -1
	p.block.reset()
	if p.in.err != nil {
		return
	}
	command, arg, _ := strings.Cut(strings.TrimRight(line, " "), " ")
	switch {
	case !t.lineStart:
		p.lx.failf(ErrDamaged, from, "a command of psql within a line")
	case command == `\unrestrict` && p.key != "" && arg == p.key:
		p.key = ""
	case p.key != "":
		p.lx.failf(ErrDamaged, from, "%s where psql takes no command but \\unrestrict with the key of \\restrict", clip([]byte(command)))
	case p.complete:
		p.lx.failf(ErrDamaged, from, "%s after the end of the dump", clip([]byte(command)))
	case command == `\restrict` && isKey(arg):
		p.key = arg
	case command == `\encoding` && arg == "SQL_ASCII": // pg_dump writes it before a name of a database in \connect
	case command == `\encoding` && p.encodingSet && strings.EqualFold(arg, p.encoding):
	case command == `\connect`:
		p.connect(t, arg)
	default:
		p.lx.failf(ErrDamaged, from, "%s: a dump does not give psql such commands", clip([]byte(line)))
	}
	if p.cur != nil {
		p.mark = p.in.offset()
	}
}

func isKey(s string) bool {
	return s != "" && strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// connect takes \connect, which goes on in the database that was just made.
func (p *scriptParser) connect(t sqlToken, arg string) {
	p.finish()
	if p.in.err != nil {
		return
	}
	made := ""
	for _, e := range p.entries {
		if e.Kind == "DATABASE" || e.Kind == "DATABASE PROPERTIES" && made == "" {
			made = e.Name
		}
	}
	if last := len(p.entries) - 1; made == "" || last >= 0 && p.entries[last].Kind != "DATABASE" &&
		p.entries[last].Kind != "DATABASE PROPERTIES" && p.entries[last].Section != 1 || !connectsTo(arg, made) {
		p.lx.failf(ErrRefused, t.from, `\connect %s: only a script that makes one database is read`, clip([]byte(arg)))
		return
	}
	p.database = made
	p.env.tablespace, p.env.tableAM, p.env.auth, p.env.schema = setValue{}, setValue{}, setValue{}, ""
	p.started = true
}

// connectsTo tells whether the argument of \connect is for a database, in the ways that pg_dump writes it.
func connectsTo(arg, database string) bool { return database != "" && connectedTo(arg) == database }

// connectedTo is the database that the argument of \connect is for, "" where it is not written as pg_dump does.
func connectedTo(arg string) string {
	if rest, ok := strings.CutPrefix(arg, "-reuse-previous=on "); ok {
		info, ok := newSQLReader([]byte(rest), true, narrow).ident()
		value, ok2 := strings.CutPrefix(info, "dbname=")
		if !ok || !ok2 {
			return ""
		}
		if strings.HasPrefix(value, "'") && strings.HasSuffix(value, "'") && len(value) > 1 {
			value = strings.NewReplacer(`\\`, `\`, `\'`, `'`).Replace(value[1 : len(value)-1])
		}
		return value
	}
	r := newSQLReader([]byte(arg), true, narrow)
	name, ok := r.ident()
	if !ok || r.t.kind != sqlEnd {
		return ""
	}
	return name
}
