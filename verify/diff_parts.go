package verify

import "github.com/pgark/pgark/archive"

const kindTableData = "TABLE DATA"

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

// partitionParents is [archive.Catalog.PartitionParents] by schema and name.
func partitionParents(cat *archive.Catalog) map[[2]string][2]string {
	names := make(map[int32][2]string, len(cat.Entries))
	for i := range cat.Entries {
		names[cat.Entries[i].ID] = [2]string{cat.Entries[i].Schema, cat.Entries[i].Name}
	}
	parents := make(map[[2]string][2]string)
	for child, parent := range cat.PartitionParents() {
		parents[names[child]] = names[parent]
	}
	return parents
}
