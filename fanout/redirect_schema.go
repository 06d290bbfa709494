package fanout

import (
	"maps"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// schemas sees to it that each new schema is there before something is made in it. One that is there already is as good: its owner stays.
func (r *redirection) schemas() {
	p := r.plan
	made := make(map[string]bool)
	p.schemaSQL = make(map[int32][]string)
	for _, e := range p.order {
		from, redirected := r.origin(e)
		if e.Kind != kindSchema || !r.isTarget(e.Name) {
			continue
		}
		p.schemaSQL[e.ID] = r.createSchema(e, redirected && from == "public")
		if made[e.Name] || e.Name == "public" {
			e.Drop, e.Nulls = "", e.Nulls|archive.NullDrop
		} else if redirected && e.Nulls&archive.NullDrop != 0 { // the public one, which is not dropped
			e.Drop, e.Nulls = "DROP SCHEMA "+p.ident(e.Name)+";\n", e.Nulls&^archive.NullDrop
		}
		made[e.Name] = made[e.Name] || p.wanted[e.ID].schema
	}
	if p.DataOnly {
		return
	}
	needed := make(map[string]bool)
	for _, e := range p.order {
		if to, ok := r.names.to[r.ofSchema(e)]; ok && p.wanted[e.ID].schema {
			needed[to] = true
		} else if p.wanted[e.ID].schema && e.Section == archive.SectionPreData {
			needed[e.Schema] = true
		}
	}
	for _, from := range slices.Sorted(maps.Keys(r.names.to)) {
		to := r.names.to[from]
		if needed[to] && !made[to] && to != "public" {
			r.addSchema(from, to)
			made[to] = true
		}
	}
}

// isTarget tells whether a schema is one that others are redirected to.
func (r *redirection) isTarget(name string) bool {
	for _, to := range r.names.to {
		if to == name {
			return true
		}
	}
	return false
}

// origin is the schema that an entry which makes a redirected one made in the archive.
func (r *redirection) origin(e *archive.Entry) (string, bool) {
	was, ok := r.plan.was[e.ID]
	return was.table, ok && e.Kind == kindSchema
}

// ofSchema is the schema in the archive that e is a comment, a right or a label of; "" for other entries. pg_dump has those of public
// in front of all that it makes.
func (r *redirection) ofSchema(e *archive.Entry) string {
	was := r.plan.was[e.ID]
	name, ok := strings.CutPrefix(was.table, kindSchema+" ")
	if !ok || was.schema != "" || e.Kind != kindComment && e.Kind != kindACL && e.Kind != kindLabel {
		return ""
	}
	return name
}

// addSchema adds an entry for a schema that no entry makes: public, which every database has, or one that was not selected.
func (r *redirection) addSchema(from, to string) {
	p := r.plan
	e := archive.Entry{
		ID: p.freeID(), Kind: kindSchema, Name: to, Section: archive.SectionPreData,
		Nulls: archive.NullSchema | archive.NullDrop | archive.NullCopy | archive.NullTablespace | archive.NullTableAM | archive.NullOwner,
	}
	public := from == "public" && p.Options.Select.whole()
	if public {
		e.Owner = p.publicOwner()
		e.Nulls &^= archive.NullOwner
	}
	e.DDL = "CREATE SCHEMA IF NOT EXISTS " + p.ident(to) + ";\n"
	p.Catalog.Entries = append(p.Catalog.Entries, e) // there is room: see ownCatalog
	added := &p.Catalog.Entries[len(p.Catalog.Entries)-1]
	p.byID[e.ID] = added
	p.wanted[e.ID] = want{schema: true}
	p.was[e.ID] = tableName{"", from}
	p.schemaSQL[e.ID] = r.createSchema(added, public)
	at := slices.IndexFunc(p.order, func(e *archive.Entry) bool {
		return p.wanted[e.ID].schema && (e.Section == archive.SectionPreData && e.Kind != kindDatabase && !e.Global() || r.ofSchema(e) == from)
	})
	p.order = slices.Insert(p.order, max(at, 0), added)
}

// publicOwner is the owner of the public schema: the one of its rights or comment, which is all that a dump has of it, or the
// one that servers give it; "" if it is not known.
func (p *Plan) publicOwner() string {
	for i := range p.Catalog.Entries {
		if e := &p.Catalog.Entries[i]; (e.Kind == kindACL || e.Kind == kindComment) && p.was[e.ID] == (tableName{"", "SCHEMA public"}) && e.Owner != "" {
			return e.Owner
		}
	}
	if dumpMajor(p.Catalog.ServerVersion) >= 15 {
		return "pg_database_owner"
	}
	return ""
}

// whole tells whether nothing is selected by name.
func (s *Selection) whole() bool {
	return !s.byObject() && len(s.Schemas)+len(s.ExcludeSchemas) == 0 && s.List == nil
}

// freeID is an ID that no entry has.
func (p *Plan) freeID() int32 {
	var highest int32
	for id := range p.byID {
		highest = max(highest, id)
	}
	return highest + 1
}

// createSchema makes a schema unless it is there. public has rights that no dump mentions, since every database has them; a schema
// that takes its place gets them with its creation, and one that was there before does not.
func (r *redirection) createSchema(e *archive.Entry, public bool) []string {
	p := r.plan
	name, owner := p.ident(e.Name), ""
	if !p.Options.NoOwner && e.Owner != "" {
		owner = " AUTHORIZATION " + p.ident(e.Owner)
	}
	create := func(owner string) string { return "CREATE SCHEMA IF NOT EXISTS " + name + owner + ";\n" }
	if public && !p.Options.NoACL {
		rights := "USAGE"
		if dumpMajor(p.Catalog.ServerVersion) < 15 {
			rights = "ALL"
		}
		create = func(owner string) string {
			body := "\nBEGIN\n    IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = " + stringLiteral(e.Name, p.style.stdStrings) +
				") THEN\n        CREATE SCHEMA " + name + owner + ";\n        GRANT " + rights + " ON SCHEMA " + name + " TO PUBLIC;\n    END IF;\nEND\n"
			tag := "$pgark$"
			for strings.Contains(body, tag) {
				tag = strings.TrimSuffix(tag, "$") + "_$"
			}
			return "DO " + tag + body + tag + ";\n"
		}
	}
	if owner == "" {
		return []string{create("")}
	}
	// Where the owner can't be set, the second one makes the schema all the same.
	return []string{create(owner), create("")}
}

// ownCatalog is a copy of a catalog whose entries may be changed, with room for the schemas that redirect adds.
func ownCatalog(cat *archive.Catalog, more int) *archive.Catalog {
	own := *cat
	own.Entries = append(make([]archive.Entry, 0, len(cat.Entries)+more), cat.Entries...)
	return &own
}
