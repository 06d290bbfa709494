package pgdump

import (
	"bytes"
	"strings"
)

// set takes a SET or RESET statement. What a restore sets for itself is left to it; what belongs to the entries that follow
// is remembered; what would change the meaning of anything is refused.
func (p *scriptParser) set(t sqlToken, text []byte) {
	if p.belongsToACL(text) {
		p.definition(t, text)
		return
	}
	if p.belongsToProtocol(text) {
		p.addText(t)
		return
	}
	r := newSQLReader(text, p.lx.std, p.lx.wide)
	if !r.skip("set") {
		p.lx.failf(ErrRefused, t.from, "%s, which pg_dump does not write here", clip(text))
		return
	}
	p.setting()
	r.skip("session")
	if r.skip("authorization") {
		p.setAuthorization(t, r)
		return
	}
	parts, _ := r.path()
	name := foldName(strings.Join(parts, "."))
	if name == "role" {
		p.warn("it was written with --role: who restores it does so as himself")
		return
	}
	if !r.skip("to") && !r.skipMark('=') {
		p.lx.failf(ErrRefused, t.from, "%s, which pg_dump does not write", clip(text))
		return
	}
	p.setValue(t, text, name, r.value(), string(trimmed(text[min(r.t.from, int64(len(text))):])))
}

// setting says that a statement is part of no definition. Settings that stand between the comment of an entry and its
// first statement hold for it; after its first statement they belong to the next one.
func (p *scriptParser) setting() {
	if p.cur != nil && (p.cur.first || p.cur.hasData() || p.cur.hasOwner || p.cur.blobs.to > 0) {
		p.finish()
	}
	p.mark = p.in.offset()
}

// belongsToACL tells whether a statement changes the user within the rights that someone else has granted.
func (p *scriptParser) belongsToACL(text []byte) bool {
	d := p.cur
	if bytes.EqualFold(text, []byte("reset session authorization")) {
		return d != nil && !d.ended && d.first && (d.kind() == kindACL || d.kind() == "DEFAULT ACL")
	}
	if !isSwitch(text, p.lx) {
		return false
	}
	return d == nil || d.toc == nil || !d.ended && (d.toc.names[0].kind == kindACL || d.toc.names[0].kind == "DEFAULT ACL")
}

// belongsToProtocol tells whether a statement is the search path with which Greenplum's pg_dump lets a protocol find its functions, which
// can't be named with their schemas.
func (p *scriptParser) belongsToProtocol(text []byte) bool {
	d := p.cur
	return d != nil && d.toc != nil && !d.first && !d.ended && d.kind() == "PROTOCOL" && p.searchPath != "" &&
		newSQLReader(text, p.lx.std, p.lx.wide).skip("set search_path")
}

// value takes one value: a name, a string, or a number.
func (r *sqlReader) value() string {
	if lit, ok := r.literal(); ok {
		return string(lit)
	}
	if name, ok := r.ident(); ok {
		return name
	}
	v := ""
	for r.t.kind == sqlNumber || r.atMark('-') {
		v += string(r.text())
		r.next()
	}
	return v
}

func (p *scriptParser) setAuthorization(t sqlToken, r *sqlReader) {
	p.env.auth.known = true
	if r.skip("default") {
		p.env.auth.value = ""
	} else if p.env.auth.value = r.value(); p.env.auth.value == "" {
		p.lx.failf(ErrDamaged, t.from, "SET SESSION AUTHORIZATION without a user")
	}
	p.inheritEnv()
}

// inheritEnv gives a setting to the entry whose comment stands before it.
func (p *scriptParser) inheritEnv() {
	if p.cur != nil {
		p.cur.env = p.env
	}
}

// setValue takes a setting with its value; rest is what follows the value.
func (p *scriptParser) setValue(t sqlToken, text []byte, name, value, rest string) {
	only := rest == ""
	switch name {
	case "client_encoding", "names":
		p.setEncoding(t, value)
	case "standard_conforming_strings":
		p.setStdStrings(t, value)
	case "search_path":
		p.env.schema = value
		if p.searchPath != "" || rest != "" && rest != ", pg_catalog" && rest != `, "pg_catalog"` {
			p.lx.failf(ErrRefused, t.from, "%s: the search path changes in a way that pg_dump does not write", clip(text))
		}
	case "default_tablespace":
		p.env.tablespace = setValue{value, true}
	case "default_table_access_method":
		p.env.tableAM = setValue{value, true}
	case "default_with_oids":
		p.env.withOIDs = isOn(value)
	case "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "transaction_timeout", "idle_session_timeout",
		"check_function_bodies", "client_min_messages", "escape_string_warning", "gp_default_storage_options", "quote_all_identifiers",
		"extra_float_digits", "bytea_output", "synchronous_commit", "maintenance_work_mem", "work_mem", "application_name":
		// Every restore sets these for itself, or can do without.
	case "row_security":
		if isOn(value) {
			p.warn("it was written with --enable-row-security: it may lack rows that its user was not allowed to see")
		}
	case "xmloption":
		only = only && strings.EqualFold(value, "content")
	case "datestyle", "intervalstyle", "timezone", "time", "array_nulls", "transform_null_equals", "backslash_quote",
		"session_replication_role", "lc_monetary", "allow_system_table_mods":
		p.lx.failf(ErrRefused, t.from, "%s would change what the rest of the script does", clip(text))
	default:
		p.warn("it sets " + sanitized(name) + ", which is left out")
	}
	if !only && name != "search_path" && p.in.err == nil {
		p.lx.failf(ErrRefused, t.from, "%s, which pg_dump does not write", clip(text))
	}
	p.inheritEnv()
}

func isOn(value string) bool {
	switch strings.ToLower(value) {
	case "on", "true", "yes", "1":
		return true
	}
	return false
}

// setEncoding takes the encoding of the whole script. It stands in front of all names that have one, so it can't change.
func (p *scriptParser) setEncoding(t sqlToken, name string) {
	switch {
	case name == "" || strings.Trim(strings.ToUpper(name), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "":
		p.lx.failf(ErrDamaged, t.from, "%q is no encoding", name)
	case p.encodingSet && p.encoding != name:
		p.lx.failf(ErrRefused, t.from, "the encoding changes from %s to %s", p.encoding, name)
	}
	p.encoding, p.encodingSet = name, true
	p.lx.wide = wideOf(strings.ToUpper(name))
}

func (p *scriptParser) setStdStrings(t sqlToken, value string) {
	if p.stdSet && p.lx.std != isOn(value) {
		p.lx.failf(ErrRefused, t.from, "standard_conforming_strings changes")
	}
	p.lx.std, p.stdSet = isOn(value), true
}

// isSearchPath tells whether a statement is SELECT pg_catalog.set_config('search_path', ...).
func (p *scriptParser) isSearchPath(text []byte) bool {
	r := newSQLReader(text, p.lx.std, p.lx.wide)
	if !r.skip("select pg_catalog") || !r.skipMark('.') || !r.skip("set_config") || !r.skipMark('(') {
		return false
	}
	name, ok := r.literal()
	return ok && string(name) == "search_path"
}

// setSearchPath keeps the search path that all names are written for.
func (p *scriptParser) setSearchPath(text []byte) {
	p.setting()
	if p.searchPath != "" && p.searchPath != string(text) || p.env.schema != "" {
		p.lx.failf(ErrRefused, p.in.offset(), "the search path changes: %s", clip(text))
	}
	p.searchPath = string(text)
	p.env.schema = ""
	p.inheritEnv()
}

// clip is the beginning of a statement, for errors.
func clip(text []byte) string {
	const most = 80
	if len(text) > most {
		return sanitized(string(text[:most])) + "..."
	}
	return sanitized(string(text))
}
