package verify

import "github.com/pgark/pgark/archive"

const (
	kindTable       = "TABLE"
	kindTableData   = "TABLE DATA"
	kindTableAttach = "TABLE ATTACH"
)

// joinPartitions makes the rows of a partitioned table one object in own, the objects of a, where the other archive has them as
// one: Greenplum 6 dumps the table as a whole, PostgreSQL each of its partitions.
func joinPartitions(a *archive.Reader, own, other map[diffKey][]diffObject) {
	cat, err := a.Catalog()
	if err != nil {
		return // it has been read before
	}
	parents := partitionParents(cat)
	for leaf, root := range parents {
		for depth, more := 0, true; more && depth < len(parents); depth++ { // a damaged catalog may go in circles
			joinPartition(own, other, leaf, root)
			root, more = parents[root]
		}
	}
}

// joinPartition adds the rows of leaf to those of root, if the other archive has root's and not leaf's.
func joinPartition(own, other map[diffKey][]diffObject, leaf, root [2]string) {
	from, to := diffKey{kindTableData, leaf[0], leaf[1]}, diffKey{kindTableData, root[0], root[1]}
	if len(own[from]) != 1 || other[from] != nil || len(other[to]) != 1 || len(own[to]) > 1 {
		return
	}
	sum := diffObject{owner: own[from][0].owner, ddl: own[from][0].ddl}
	if len(own[to]) == 1 {
		sum = own[to][0]
	}
	sum.digest.Merge(own[from][0].digest)
	sum.unknown = sum.unknown || own[from][0].unknown
	own[to] = []diffObject{sum}
	delete(own, from)
}

// partitionParents maps the schema and name of each partition to those of the table that it is attached to. A TABLE ATTACH entry
// depends on both tables and bears the partition's name.
func partitionParents(cat *archive.Catalog) map[[2]string][2]string {
	tables := make(map[int32]*archive.Entry)
	for i := range cat.Entries {
		if e := &cat.Entries[i]; e.Kind == kindTable || e.Kind == "FOREIGN TABLE" {
			tables[e.ID] = e
		}
	}
	parents := make(map[[2]string][2]string)
	for i := range cat.Entries {
		e := &cat.Entries[i]
		if e.Kind != kindTableAttach {
			continue
		}
		for _, dep := range e.Deps {
			if t := tables[dep]; t != nil && (t.Schema != e.Schema || t.Name != e.Name) {
				parents[[2]string{e.Schema, e.Name}] = [2]string{t.Schema, t.Name}
			}
		}
	}
	return parents
}
