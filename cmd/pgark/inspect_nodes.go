package main

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pgark/pgark/archive"
)

// inspectPolicy says how the rows of one table were spread over the nodes.
type inspectPolicy struct {
	Schema    string   `json:"schema"`
	Table     string   `json:"table"`
	Kind      string   `json:"kind"`
	Columns   []string `json:"columns"`
	OpClasses []string `json:"op_classes"`
	Segments  uint32   `json:"segments"`
	Node      uint32   `json:"node"`
	Bound     string   `json:"bound"`
}

// inspectSpread is what the archive has of one table from each node. Only archives of several nodes have it.
type inspectSpread struct {
	Schema       string        `json:"schema"`
	Table        string        `json:"table"`
	Distribution string        `json:"distribution"` // "hash (a, b)", "random", "replicated"; empty where it is not recorded
	Rows         uint64        `json:"rows"`
	RawBytes     uint64        `json:"raw_bytes"`
	StoredBytes  uint64        `json:"stored_bytes"`
	Skew         float64       `json:"skew"` // bytes of the fullest node, divided by the average; 0 where rows are not spread
	Nodes        []inspectPart `json:"nodes"`
}

type inspectPart struct {
	Node        uint32 `json:"node"`
	Rows        uint64 `json:"rows"`
	RawBytes    uint64 `json:"raw_bytes"`
	StoredBytes uint64 `json:"stored_bytes"`
}

// newInspectNode describes a node; database is the archive's.
func newInspectNode(n archive.Node, database string) inspectNode {
	node := inspectNode{
		ID: n.ID, Name: n.Name, Host: n.Host, Port: n.Port, Snapshot: n.Snapshot, Content: n.Content,
		Database: cmp.Or(n.Database, database),
	}
	if n.ID == 0 {
		node.Content = -1
	}
	return node
}

func (in *inspection) addPolicies(m *archive.Moment, text textDecoder) {
	decode := func(names []string) []string {
		out := make([]string, len(names))
		for i, s := range names {
			out[i] = text.String(s)
		}
		return out
	}
	for i := range m.Distributions {
		d := &m.Distributions[i]
		in.Distributions = append(in.Distributions, inspectPolicy{
			text.String(d.Schema), text.String(d.Table), d.Kind, decode(d.Columns), decode(d.OpClasses), d.Segments, d.Node, text.String(d.Bound),
		})
	}
}

// policyText is a policy in a few words.
func policyText(d *archive.Distribution, text textDecoder) string {
	switch {
	case d == nil:
		return ""
	case d.Kind == archive.DistributedHash:
		columns := make([]string, len(d.Columns))
		for i, c := range d.Columns {
			columns[i] = quotedIdent(text.String(c))
		}
		return d.Kind + " (" + strings.Join(columns, ", ") + ")"
	}
	return d.Kind
}

// addSpread counts rows by node, for all tables together and for each. A table is what a TABLE DATA entry names, so that
// partitions without an entry of their own count as one.
func (in *inspection) addSpread(a *archive.Reader, cat *archive.Catalog, m *archive.Moment, text textDecoder) {
	policies := make(map[[2]string]*archive.Distribution)
	segments := false
	for i := range m.Distributions {
		d := &m.Distributions[i]
		policies[[2]string{d.Schema, d.Table}] = d
		segments = segments || d.Kind == archive.DistributedHash || d.Kind == archive.DistributedRandom || d.Kind == archive.DistributedReplicated
	}
	entries := make(map[int32]*archive.Entry)
	for i := range cat.Entries {
		entries[cat.Entries[i].ID] = &cat.Entries[i]
	}
	type key struct {
		entry         int32
		schema, table string
	}
	tables := make(map[key]*inspectSpread)
	policy := make(map[*inspectSpread]*archive.Distribution)
	for _, s := range a.Streams() {
		in.countNode(s.Node, s.Digest.Rows, s.Raw, s.Stored)
		if s.Schema == "" { // large objects
			continue
		}
		k := key{s.Entry, s.Schema, s.Table}
		if e := entries[s.Entry]; e != nil {
			k.schema, k.table = e.Schema, e.Name
		}
		t := tables[k]
		if t == nil {
			t = &inspectSpread{Schema: text.String(k.schema), Table: text.String(k.table), Nodes: []inspectPart{}}
			tables[k] = t
			policy[t] = policies[[2]string{k.schema, k.table}]
		}
		if policy[t] == nil {
			policy[t] = policies[[2]string{s.Schema, s.Table}]
		}
		t.add(&s)
	}
	holders := in.nodeSkew(segments)
	if len(in.Nodes) < 2 {
		return
	}
	for _, t := range tables {
		t.finish(policy[t], holders, text)
		in.Spread = append(in.Spread, *t)
	}
	slices.SortFunc(in.Spread, func(x, y inspectSpread) int {
		return cmp.Or(cmp.Compare(x.Schema, y.Schema), cmp.Compare(x.Table, y.Table))
	})
}

// countNode adds rows to what a node holds.
func (in *inspection) countNode(node uint32, rows, raw, stored uint64) {
	for i := range in.Nodes {
		if n := &in.Nodes[i]; n.ID == node {
			n.Rows += rows
			n.RawBytes += raw
			n.StoredBytes += stored
		}
	}
}

// nodeSkew compares what the nodes hold, and returns how many could. The coordinator of segments holds nothing: what has its number was
// read through it. Others that have no rows do not count either.
func (in *inspection) nodeSkew(segments bool) int {
	holds := func(n *inspectNode) bool { return n.ID != 0 || len(in.Nodes) == 1 || n.Rows > 0 && !segments }
	holders, raw := 0, uint64(0)
	for i := range in.Nodes {
		if n := &in.Nodes[i]; holds(n) {
			holders++
			raw += n.RawBytes
		}
	}
	for i := range in.Nodes {
		if n := &in.Nodes[i]; holds(n) && raw > 0 {
			n.Skew = float64(n.RawBytes) * float64(holders) / float64(raw)
		}
	}
	return holders
}

func (t *inspectSpread) add(s *archive.Stream) {
	t.Rows += s.Digest.Rows
	t.RawBytes += s.Raw
	t.StoredBytes += s.Stored
	i := slices.IndexFunc(t.Nodes, func(p inspectPart) bool { return p.Node == s.Node })
	if i < 0 {
		i = len(t.Nodes)
		t.Nodes = append(t.Nodes, inspectPart{Node: s.Node})
	}
	p := &t.Nodes[i]
	p.Rows += s.Digest.Rows
	p.RawBytes += s.Raw
	p.StoredBytes += s.Stored
}

// finish computes the skew, where the rows are spread over several nodes and it is known over which.
func (t *inspectSpread) finish(d *archive.Distribution, holders int, text textDecoder) {
	slices.SortFunc(t.Nodes, func(x, y inspectPart) int { return cmp.Compare(x.Node, y.Node) })
	t.Distribution = policyText(d, text)
	if d == nil || d.Kind == archive.DistributedReplicated || d.Kind == archive.DistributedForeign {
		return
	}
	spread := d.Kind == archive.DistributedHash || d.Kind == archive.DistributedRandom
	if d.Segments > 0 {
		holders = int(d.Segments)
	}
	var most uint64
	for _, p := range t.Nodes {
		if p.Node == 0 && spread {
			return // read through the coordinator: nobody knows from where
		}
		most = max(most, p.RawBytes)
	}
	if t.RawBytes > 0 {
		t.Skew = float64(most) * float64(holders) / float64(t.RawBytes)
	}
}
