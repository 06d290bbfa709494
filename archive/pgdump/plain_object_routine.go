package pgdump

import (
	"bytes"
	"strings"
)

func trimmed(b []byte) []byte { return bytes.TrimSpace(b) }

// createRoutine reads a function or a procedure. Its arguments without their defaults are part of its name.
func (r *sqlReader) createRoutine(o *object, kind string) {
	q, ok := r.qualified()
	if !ok {
		return
	}
	from := r.t.from
	args, ok := r.group()
	if !ok {
		return
	}
	*o = object{kind: kind, name: q, named: kind + " " + q.text + r.withoutDefaults(from, args)}
}

// withoutDefaults takes DEFAULT and what follows it out of each argument of a list.
func (r *sqlReader) withoutDefaults(from int64, args string) string {
	sub := newSQLReader([]byte(args), r.lx.std, r.lx.wide)
	var b strings.Builder
	start := int64(0)
	cut := int64(-1)
	for ; sub.t.kind != sqlEnd; sub.next() {
		switch {
		case sub.lx.depth == 1 && sub.at("default") && cut < 0:
			cut = sub.t.from
		case sub.lx.depth == 1 && sub.atMark(','), sub.lx.depth == 0:
			if cut >= 0 {
				b.WriteString(strings.TrimRight(args[start:cut], " "))
				start, cut = sub.t.from, -1
			}
		}
	}
	b.WriteString(args[start:])
	return b.String()
}

func (r *sqlReader) createAggregate(o *object) {
	q, ok := r.qualified()
	if !ok {
		return
	}
	if args, ok := r.group(); ok {
		*o = object{kind: "AGGREGATE", name: q, named: "AGGREGATE " + q.text + args}
	}
}

func (r *sqlReader) createOperator(o *object) {
	q, ok := r.operator()
	if !ok || !r.atMark('(') {
		return
	}
	left, right := r.operands()
	*o = object{kind: "OPERATOR", name: q, named: "OPERATOR " + q.text + " (" + left + ", " + right + ")", tags: []string{q.name}}
}

// operands finds the types of an operator's arguments in its definition.
func (r *sqlReader) operands() (left, right string) {
	left, right = "NONE", "NONE"
	for r.next(); r.t.kind != sqlEnd && !r.atMark(')'); {
		isLeft, isRight := r.at("leftarg"), r.at("rightarg")
		for r.next(); r.atMark('='); {
			r.next()
		}
		from := r.t.from
		for r.t.kind != sqlEnd && !(r.lx.depth == 1 && r.atMark(',')) && !(r.lx.depth == 0 && r.atMark(')')) {
			r.next()
		}
		value := string(trimmed(r.sql[from:r.t.from]))
		switch {
		case isLeft:
			left = value
		case isRight:
			right = value
		}
		if !r.skipMark(',') {
			break
		}
	}
	return left, right
}

func (r *sqlReader) createOperatorClass(o *object, kind string) {
	q, ok := r.qualified()
	if !ok || r.find("using") == "" {
		return
	}
	r.next()
	from := r.t.from
	if _, ok := r.ident(); ok {
		method := string(trimmed(r.sql[from:r.t.from]))
		*o = object{kind: kind, name: q, named: kind + " " + q.text + " USING " + method, tags: []string{q.name}}
	}
}

func (r *sqlReader) createTransform(o *object) {
	from := r.t.from
	if !r.skip("for") || r.find("language") == "" {
		return
	}
	r.next()
	if _, ok := r.ident(); ok {
		named := "TRANSFORM " + string(trimmed(r.sql[from:r.t.from]))
		*o = object{kind: "TRANSFORM", named: named, tags: []string{named}}
	}
}

func (r *sqlReader) createUserMapping(o *object) {
	from := r.t.from
	if !r.skip("for") {
		return
	}
	user, ok := r.ident()
	if !ok || !r.skip("server") {
		return
	}
	server, ok := r.ident()
	if !ok {
		return
	}
	*o = object{
		kind: "USER MAPPING", named: "USER MAPPING " + string(trimmed(r.sql[from:r.t.from])),
		tags: []string{"USER MAPPING " + user + " SERVER " + server},
	}
}

// selectCall reads SELECT of one of the functions that pg_dump calls.
func (r *sqlReader) selectCall(o *object) {
	if r.skipMark('*') && r.skip("from") {
		r.statisticsCall(o)
		return
	}
	parts, _ := r.path()
	if len(parts) == 2 && parts[0] == "pg_catalog" {
		parts = parts[1:]
	}
	if len(parts) != 1 || !r.skipMark('(') {
		return
	}
	switch parts[0] {
	case "setval":
		lit, ok := r.literal()
		if !ok {
			return
		}
		seq := newSQLReader(lit, true, r.lx.wide)
		if q, ok := seq.qualified(); ok {
			*o = object{kind: "SEQUENCE SET", name: q, tags: []string{q.name}}
		}
	case "lo_create":
		if oid, ok := r.oid(); ok {
			*o = object{
				kind: "BLOB", name: qualified{name: oid, text: oid}, named: "LARGE OBJECT " + oid, tags: []string{oid},
				drop: "SELECT pg_catalog.lo_unlink('" + oid + "');\n",
			}
		}
	}
}

// statisticsCall reads a call of pg_restore_relation_stats or pg_restore_attribute_stats. Its arguments are pairs of a name
// and a value.
func (r *sqlReader) statisticsCall(o *object) {
	parts, _ := r.path()
	if len(parts) != 2 || parts[1] != "pg_restore_relation_stats" && parts[1] != "pg_restore_attribute_stats" {
		return
	}
	o.kind = "STATISTICS DATA"
	for r.t.kind != sqlEnd && (o.name.schema == "" || o.name.name == "") {
		arg, ok := r.literal()
		if !ok {
			r.next()
			continue
		}
		var into *string
		switch string(arg) {
		case "schemaname":
			into = &o.name.schema
		case "relname":
			into = &o.name.name
		default:
			continue
		}
		if r.skipMark(',') {
			value, _ := r.literal()
			*into = string(value)
		}
	}
	if o.name.name != "" {
		o.tags = []string{o.name.name}
	}
}

// oid takes the number of a large object, in quotes or not.
func (r *sqlReader) oid() (string, bool) {
	text := string(r.text())
	if r.t.kind == sqlString {
		text = strings.Trim(text, "'")
	} else if r.t.kind != sqlNumber {
		return "", false
	}
	if text == "" || len(text) > 10 || strings.Trim(text, "0123456789") != "" {
		return "", false
	}
	r.next()
	return text, true
}
