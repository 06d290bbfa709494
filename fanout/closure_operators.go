package fanout

import "github.com/pgark/pgark/archive"

// operatorKey tells operators apart. Types are without their schemas, which definitions of before 2018 leave out where it is the operator's own.
type operatorKey struct {
	name        tableName
	left, right string
}

// pairOperators finds the commutators and negators of operators. The server records no dependency on them, and CREATE OPERATOR makes shells
// of those that are not there, which queries fail with.
func (c *closure) pairOperators() {
	ids, pairs := make(map[operatorKey][]int32), make(map[int32][]operatorKey)
	for _, e := range c.plan.order {
		if e.Kind == "OPERATOR" {
			own, others := c.operatorOf(e)
			ids[own] = append(ids[own], e.ID)
			pairs[e.ID] = others
		}
	}
	for id, others := range pairs {
		for _, other := range others {
			c.pairs[id] = append(c.pairs[id], ids[other]...)
		}
	}
}

// operatorOf is the operator that an entry makes, and its commutator and negator. Which has the operands the other way round, and which has
// the same ones, the definition need not say.
func (c *closure) operatorOf(e *archive.Entry) (own operatorKey, others []operatorKey) {
	own.name = tableName{e.Schema, e.Name}
	var commutator, negator tableName
	for _, s := range c.statements(e) {
		open := s.find("(")
		if !s.is(0, "CREATE", "OPERATOR") || open < 0 {
			continue
		}
		for _, item := range s.list(open) {
			switch at, value := item[0], item[0]+2; {
			case value >= item[1]: // HASHES
			case s.is(at, "LEFTARG", "="):
				own.left = s.bareType(value, item[1])
			case s.is(at, "RIGHTARG", "="):
				own.right = s.bareType(value, item[1])
			case s.is(at, "COMMUTATOR", "="):
				commutator = s.operatorName(value, e.Schema)
			case s.is(at, "NEGATOR", "="):
				negator = s.operatorName(value, e.Schema)
			}
		}
	}
	if commutator.table != "" {
		others = append(others, operatorKey{commutator, own.right, own.left})
	}
	if negator.table != "" {
		others = append(others, operatorKey{negator, own.left, own.right})
	}
	return own, others
}

// bareType is the type that tokens i to end write, without its schema.
func (s *statement) bareType(i, end int) string {
	if i+2 < end && s.isName(i) && s.is(i+1, ".") && s.isName(i+2) {
		i += 2
	}
	return s.sql[s.tokens[i].from:s.tokens[end-1].to]
}

// operatorName is the operator that token i begins to name: OPERATOR(s.=), or = of a schema that is not told.
func (s *statement) operatorName(i int, schema string) tableName {
	if s.is(i, "OPERATOR", "(") {
		i += 2
	}
	if s.isName(i) && s.is(i+1, ".") {
		schema = s.name(i)
		i += 2
	}
	return tableName{schema, s.operator(i)}
}
