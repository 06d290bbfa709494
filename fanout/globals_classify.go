package fanout

import (
	"strings"
)

// classify puts a statement into its entry, and returns that one's place.
func (g *globalsParser) classify(s *statement, text string) int {
	switch {
	case s.is(0, "CREATE", "ROLE") && s.isName(2):
		return g.put(kindRole, s.name(2), roleKey(s.name(2)), text, g.resources(s)...)
	case s.is(0, "ALTER", "ROLE") && s.isName(2):
		return g.alterRole(s, text)
	case s.isAny(0, "CREATE", "ALTER") && s.is(1, "TABLESPACE") && s.isName(2):
		return g.tablespace(s, text)
	case s.isAny(0, "CREATE", "ALTER") && s.is(1, "RESOURCE") && s.isAny(2, "QUEUE", "GROUP") && s.isName(3):
		kind := "RESOURCE " + strings.ToUpper(s.text(2))
		return g.put(kind, s.name(3), kind+" "+s.name(3), text)
	case s.isAny(0, "GRANT", "REVOKE"):
		return g.grant(s, text)
	case s.is(0, "COMMENT", "ON"):
		if name, dep := g.object(s, 2); name != "" {
			return g.put(kindComment, name, "", text, dep)
		}
	case s.is(0, "SECURITY", "LABEL"):
		if on := s.find("ON"); on > 0 {
			if name, dep := g.object(s, on+1); name != "" {
				return g.put(kindLabel, name, "", text, dep)
			}
		}
	}
	return g.other(s, text)
}

func roleKey(name string) string { return kindRole + " " + name }

// role is the ID of the role that token i names, 0 if it is none of these.
func (g *globalsParser) role(s *statement, i int) int32 {
	if i <= 0 || !s.isName(i) {
		return 0
	}
	return g.id(roleKey(s.name(i)))
}

// alterRole tells settings from properties of a role.
func (g *globalsParser) alterRole(s *statement, text string) int {
	role, at, name := s.name(2), 3, s.name(2)
	if s.is(3, "IN", "DATABASE") && s.isName(5) {
		at, name = 6, role+inDatabase+s.name(5)
	}
	switch {
	case s.isAny(at, "SET", "RESET"):
		if s.is(2, "ALL") {
			return g.put(kindRoleSetting, strings.Replace(name, role, allRoles, 1), strings.Replace(allKey+name, role, "", 1), text)
		}
		return g.put(kindRoleSetting, name, kindRoleSetting+" "+name, text, g.role(s, 2))
	case g.id(roleKey(role)) != 0:
		return g.put(kindRole, role, roleKey(role), text, g.resources(s)...)
	}
	return g.other(s, text)
}

const (
	// inDatabase stands in the name of a setting between the role and the database that it is for.
	inDatabase = " IN DATABASE "
	// allRoles is the name of settings for all roles.
	allRoles = "ALL"
	allKey   = kindRoleSetting + " for all"
)

// resources are the resource queues and groups that a role's definition names.
func (g *globalsParser) resources(s *statement) []int32 {
	var deps []int32
	for i := range s.tokens {
		if s.is(i, "RESOURCE") && s.isAny(i+1, "QUEUE", "GROUP") && s.isName(i+2) {
			deps = append(deps, g.id("RESOURCE "+strings.ToUpper(s.text(i+1))+" "+s.name(i+2)))
		}
	}
	return deps
}

func (g *globalsParser) tablespace(s *statement, text string) int {
	name := s.name(2)
	key := kindTablespace + " " + name
	if s.is(0, "ALTER") && g.id(key) == 0 {
		return g.other(s, text)
	}
	var owner int32
	if at := s.find("OWNER"); at > 0 {
		owner = g.role(s, at+1)
	}
	return g.put(kindTablespace, name, key, text, owner)
}

// grant tells memberships from rights.
func (g *globalsParser) grant(s *statement, text string) int {
	on, to := s.find("ON"), s.find("TO")
	if to < 0 {
		to = s.find("FROM")
	}
	switch {
	case on < 0 && to > 0 && s.isName(1) && s.isName(to+1):
		name := quoteID(s.name(1)) + " TO " + quoteID(s.name(to+1))
		grantor := int32(0)
		if by := s.find("GRANTED", "BY"); by > 0 {
			grantor = g.role(s, by+2)
		}
		return g.put(kindMembership, name, "", text, g.role(s, 1), g.role(s, to+1), grantor)
	case on > 0 && to > on && s.is(on+1, "TABLESPACE") && s.isName(on+2):
		name := kindTablespace + " " + quoteID(s.name(on+2))
		return g.put(kindACL, name, kindACL+" "+name, text, append([]int32{g.id(kindTablespace + " " + s.name(on+2))}, g.roles(s, to+1)...)...)
	case on > 0 && to > on && s.is(on+1, "PARAMETER"):
		_, name := s.qualified(on + 2)
		if name == "" {
			break
		}
		return g.put(kindParameterACL, name, kindParameterACL+" "+name, text, g.roles(s, to+1)...)
	}
	return g.other(s, text)
}

// roles are the roles from token i on.
func (g *globalsParser) roles(s *statement, i int) []int32 {
	var deps []int32
	for ; i < len(s.tokens); i++ {
		if id := g.role(s, i); id != 0 {
			deps = append(deps, id)
		}
	}
	return deps
}

// object is the object that a comment or a label is on, as it names it, and the ID of its entry.
func (g *globalsParser) object(s *statement, i int) (name string, dep int32) {
	kind, at := "", i+1
	switch {
	case s.isAny(i, kindRole, kindTablespace):
		kind = strings.ToUpper(s.text(i))
	case s.is(i, "RESOURCE") && s.isAny(i+1, "QUEUE", "GROUP"):
		kind, at = "RESOURCE "+strings.ToUpper(s.text(i+1)), i+2
	}
	if kind == "" || !s.isName(at) {
		return "", 0
	}
	return kind + " " + quoteID(s.name(at)), g.id(kind + " " + s.name(at))
}

// other keeps a statement that is none of those above, as it is, with what stands before it in the same bracket.
func (g *globalsParser) other(s *statement, text string) int {
	if b := g.bracket; b != nil && b.entry >= 0 && g.entries[b.entry].Kind == kindGlobal {
		g.entries[b.entry].DDL += text
		return b.entry
	}
	const most = 3
	var words []string
	for i := range s.tokens[:min(most, len(s.tokens))] {
		if s.tokens[i].kind == tokenWord {
			words = append(words, s.text(i))
		}
	}
	return g.put(kindGlobal, strings.Join(words, " "), "", text, g.roles(s, 0)...)
}
