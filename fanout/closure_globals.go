package fanout

import (
	"slices"

	"github.com/pgark/pgark/archive"
)

// tellRoles says which roles must be there: owners, those who are granted something, and those that policies and user mappings are for.
// It gives for each the first entry that it is needed for.
func (c *closure) tellRoles() map[string]int32 {
	roles := make(map[string]int32)
	tell := func(name string, id int32) {
		if roles[name] == 0 {
			roles[name] = id
		}
	}
	for _, id := range c.order {
		e := c.plan.byID[id]
		if e.Owner != "" && !c.plan.Options.NoOwner {
			tell(e.Owner, id)
		}
		if isACL(e) && !c.plan.Options.NoACL || e.Kind == "POLICY" {
			for _, name := range grantees(e.DDL, c.plan.style.stdStrings) {
				tell(name, id)
			}
		}
		if e.Kind == kindUserMapping {
			if user, _ := userMapping(c.statements(e)); user != "" {
				tell(user, id)
			}
		}
	}
	for name := range roles {
		c.plan.Roles = append(c.plan.Roles, name)
	}
	slices.Sort(c.plan.Roles)
	return roles
}

// globals takes in the roles and tablespaces that are needed, with what belongs to them alone, if such things are restored.
func (c *closure) globals(roles map[string]int32) {
	if !c.plan.Options.Globals {
		return
	}
	spaces := make(map[string]int32)
	for _, id := range c.order {
		if name := c.plan.byID[id].Tablespace; name != "" && !c.plan.Options.Without.Tablespaces && spaces[name] == 0 {
			spaces[name] = id
		}
	}
	c.takeGlobals(roles, spaces)
	c.todo = nil // what they need is there
}

// neededGlobals are those entries of a server's catalog that a plan with dependencies needs; all of them for any other plan.
func (p *Plan) neededGlobals(cat *archive.Catalog, entries []archive.Entry) []archive.Entry {
	if p == nil || p.needed == nil || p.Catalog.Encoding != cat.Encoding { // names in another encoding are others
		return entries
	}
	server := &Plan{byID: make(map[int32]*archive.Entry, len(entries))}
	for i := range entries {
		server.order = append(server.order, &entries[i])
		server.byID[entries[i].ID] = &entries[i]
	}
	roles, spaces := make(map[string]int32), make(map[string]int32)
	for _, name := range p.Roles {
		roles[name] = -1
	}
	for id := range p.needed {
		spaces[p.byID[id].Tablespace] = -1
	}
	c := &closure{plan: server, needs: make(map[int32]Need)}
	c.takeGlobals(roles, spaces)
	var needed []archive.Entry
	for _, e := range server.order {
		if _, in := c.needs[e.ID]; in {
			needed = append(needed, *e)
		}
	}
	return needed
}

// takeGlobals takes in roles and tablespaces by their names, with what belongs to them alone. By each name is what needs it.
func (c *closure) takeGlobals(roles, spaces map[string]int32) {
	take := func(id, by int32, how string) {
		c.add(id, Need{By: by, How: how})
		for _, dep := range c.plan.byID[id].Deps {
			c.add(dep, Need{By: id, How: "depends"})
		}
	}
	for _, e := range c.plan.order {
		switch by := int32(0); e.Kind {
		case kindRole:
			if by = roles[e.Name]; by != 0 {
				take(e.ID, by, "role")
			}
		case kindTablespace:
			if by = spaces[e.Name]; by != 0 {
				take(e.ID, by, "tablespace")
			}
		}
	}
	for _, e := range c.plan.order {
		deps := e.Deps
		switch e.Kind {
		case kindRole, kindTablespace, kindResourceQueue, kindResourceGroup:
			continue
		case kindMembership: // who has granted it may be somebody else
			deps = deps[:min(2, len(deps))]
		}
		missing := slices.ContainsFunc(deps, func(id int32) bool { _, in := c.needs[id]; return !in })
		if e.Global() && len(deps) > 0 && !missing {
			c.add(e.ID, Need{By: deps[0], How: "part of"})
		}
	}
}

// grantees are the roles that statements grant something to, or as.
func grantees(sql string, std bool) []string {
	var names []string
	for _, s := range lexStatements(sql, std) {
		for i := range s.tokens {
			if s.tokens[i].depth != 0 || !s.is(i, "TO") && !s.is(i, "FROM") && !s.is(i, "AUTHORIZATION") {
				continue
			}
			for k := i + 1; s.isName(k); k += 2 {
				if s.tokens[k].kind == tokenQuoted || !s.is(k, "PUBLIC") && !s.is(k, "DEFAULT") {
					names = append(names, s.name(k))
				}
				if !s.is(k+1, ",") {
					break
				}
			}
		}
	}
	return names
}
