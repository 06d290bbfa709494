package gpbackup

import (
	"strings"

	"github.com/pgark/pgark/archive"
)

// The kinds of entry that are of the cluster, named and divided as those of an archive that was asked for them: see
// [archive.Entry.Global]. Resource queues and groups only Greenplum has.
const (
	kindRole       = "ROLE"
	kindSetting    = "ROLE SETTING"
	kindMembership = "ROLE MEMBERSHIP"
	kindTablespace = "TABLESPACE"
	kindQueue      = "RESOURCE QUEUE"
	kindGroup      = "RESOURCE GROUP"
	kindGlobal     = "GLOBAL"
	kindDatabase   = "DATABASE"
)

// globals adds what is of the cluster. It stands before all others.
func (b *catalogBuilder) globals(all []piece) {
	for i := range all {
		p := &all[i]
		switch p.of {
		case "SESSION GUCS", kindDatabase, "DATABASE GUC":
			continue
		}
		for _, st := range splitSQL(p.text) {
			b.global(p, st)
		}
	}
}

// global adds one statement, to the entry of its object if it belongs there.
func (b *catalogBuilder) global(p *piece, st string) {
	name := unquote(p.Name)
	own := b.cluster[objectKey{p.of, "", name}]
	switch p.of {
	case kindRole, kindTablespace, kindQueue, kindGroup:
		switch {
		case strings.HasPrefix(st, "COMMENT ON "):
			b.put(kindComment, p.of+" "+p.Name, st, own)
		case strings.HasPrefix(st, "SECURITY LABEL "):
			b.put(kindLabel, p.of+" "+p.Name, st, own)
		case hasPrefix(st, "GRANT ", "REVOKE "):
			b.put(kindACL, p.of+" "+p.Name, st, own, b.roleAfter(st, "TO "), b.roleAfter(st, "FROM "))
		default:
			if _, ok := after(st, "PASSWORD "); ok && p.of == kindRole {
				b.passwords++
			}
			b.put(p.of, name, st, b.roleAfter(st, "OWNER TO "), b.namedAfter(st, kindQueue), b.namedAfter(st, kindGroup))
		}
	case "ROLE GUCS":
		if database, ok := after(st, "IN DATABASE "); ok {
			name += " IN DATABASE " + unquote(database[:nameLength(database)])
		}
		b.put(kindSetting, name, st, b.role(p.Name))
	case "ROLE GRANT":
		b.membership(st)
	default:
		b.put(kindGlobal, p.of+" "+name, st)
	}
}

// membership adds GRANT role TO member.
func (b *catalogBuilder) membership(st string) {
	rest, _ := strings.CutPrefix(st, "GRANT ")
	role := rest[:nameLength(rest)]
	member, ok := strings.CutPrefix(rest[len(role):], " TO ")
	if member = member[:nameLength(member)]; !ok || role == "" || member == "" {
		b.put(kindGlobal, "ROLE GRANT", st)
		return
	}
	b.put(kindMembership, role+" TO "+member, st, b.role(role), b.role(member), b.roleAfter(st, "GRANTED BY "))
}

// role is the entry of a role, named as in SQL, 0 if there is none.
func (b *catalogBuilder) role(name string) int32 {
	return b.cluster[objectKey{kindRole, "", unquote(name)}]
}

// roleAfter is the entry of the role that follows some words, 0 if there is none.
func (b *catalogBuilder) roleAfter(st, words string) int32 {
	rest, _ := after(st, words)
	return b.role(rest[:nameLength(rest)])
}

// namedAfter is the entry of the resource queue or group that follows the name of its kind.
func (b *catalogBuilder) namedAfter(st, kind string) int32 {
	if !strings.HasPrefix(st, "ALTER ROLE ") && !strings.HasPrefix(st, "CREATE ROLE ") {
		return 0
	}
	rest, _ := after(st, kind+" ")
	return b.cluster[objectKey{kind, "", unquote(rest[:nameLength(rest)])}]
}

// put adds a statement to the entry of that kind and name, which it adds if there is none yet.
func (b *catalogBuilder) put(kind, name, st string, deps ...int32) {
	k := objectKey{kind, "", name}
	id := b.cluster[k]
	if id == 0 {
		id = b.add(archive.Entry{TableOID: archive.GlobalTable(kind), Kind: kind, Name: name, Section: archive.SectionNone})
		b.cluster[k] = id
	}
	b.more[id] = append(b.more[id], st+";\n")
	b.depend(id, deps...)
}

// database adds the database, with its owner, rights and settings.
func (b *catalogBuilder) database(global []piece) {
	for i := range global {
		p := &global[i]
		if p.of != kindDatabase && p.of != "DATABASE GUC" {
			continue
		}
		w := sortWords(p)
		k := objectKey{kindDatabase, "", p.Name}
		id := b.last[k]
		if w.defines && id == 0 {
			id = b.add(archive.Entry{
				Kind: kindDatabase, Name: unquote(p.Name), Section: archive.SectionPreData, DDL: lines(w.other),
				Drop: "DROP DATABASE " + p.Name + ";\n",
			})
			b.last[k], w.other = id, nil
		}
		for _, st := range w.other {
			b.properties(id, p, st)
		}
		if w.owner != "" && id == 0 {
			b.properties(id, p, "ALTER "+w.object+" OWNER TO "+w.owner)
			w.owner = ""
		}
		b.owned(id, p, &w, archive.SectionPreData)
		b.describe(id, p, &w)
	}
}

func (b *catalogBuilder) properties(database int32, p *piece, st string) {
	b.depend(b.add(archive.Entry{
		Kind: "DATABASE PROPERTIES", Name: unquote(p.Name), Section: archive.SectionPreData, DDL: st + ";\n",
	}), database)
}
