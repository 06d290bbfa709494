package archive

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// maxDatabases limits the bytes of the list of databases. One of 65535 databases takes less than 16 MB.
const maxDatabases = 64 << 20

// appendDatabases writes the list as a message: 1 database, repeated.
func appendDatabases(b []byte, list []ClusterDatabase) []byte {
	var d []byte
	for i := range list {
		d = appendDatabase(d[:0], &list[i])
		b = appendField(b, 1, d)
	}
	return b
}

// appendDatabase writes d as a message:
//
//	1 name  2 encoding  3 offset  4 length  5 volume id  6 root  7 rows  8 raw bytes
func appendDatabase(b []byte, d *ClusterDatabase) []byte {
	b = appendString(b, 1, d.Name)
	b = appendString(b, 2, d.Encoding)
	b = appendUint(b, 3, uint64(d.Offset))
	b = appendUint(b, 4, uint64(d.Bytes))
	b = appendField(b, 5, d.ID[:])
	b = appendField(b, 6, d.Root[:])
	b = appendUint(b, 7, d.Rows)
	return appendUint(b, 8, d.RawBytes)
}

func parseDatabases(s string) ([]ClusterDatabase, error) {
	var list []ClusterDatabase
	f := fields{s: s, repeat: []uint64{1}}
	for f.next() {
		if f.num != 1 {
			continue
		}
		if len(list) == MaxDatabases {
			return nil, fmt.Errorf("list of databases: it has more than %d", MaxDatabases)
		}
		d, err := parseDatabase(f.body)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	if f.err != nil {
		return nil, fmt.Errorf("list of databases: %w", f.err)
	}
	return list, checkDatabases(list)
}

func parseDatabase(s string) (ClusterDatabase, error) {
	var d ClusterDatabase
	f := fields{s: s}
	seen := 0
	for f.next() {
		switch f.num {
		case 1:
			d.Name = f.str()
			seen++
		case 2:
			d.Encoding = f.str()
		case 3:
			d.Offset = int64(f.uint(math.MaxInt64))
			seen++
		case 4:
			d.Bytes = int64(f.uint(math.MaxInt64))
			seen++
		case 5:
			d.ID = VolumeID(f.raw(len(d.ID)))
			seen++
		case 6:
			d.Root = [32]byte(f.raw(len(d.Root)))
			seen++
		case 7:
			d.Rows = f.uint(math.MaxUint64)
		case 8:
			d.RawBytes = f.uint(math.MaxUint64)
		}
	}
	switch {
	case f.err != nil:
		return d, fmt.Errorf("description of a database: %w", f.err)
	case seen != 5:
		return d, errors.New("description of a database: its name, offset, length, id or root is missing")
	}
	return d, nil
}

// checkDatabases says what is wrong with a list, by itself.
func checkDatabases(list []ClusterDatabase) error {
	names := make(map[string]bool, len(list))
	end := int64(0)
	for i := range list {
		d := &list[i]
		switch {
		case d.Name == "" || strings.ContainsRune(d.Name, 0):
			return errors.New("list of databases: a name is empty or has a character of value 0")
		case names[d.Name]:
			return fmt.Errorf("list of databases: it has %s twice", printable(d.Name))
		case d.Bytes < minVolume || d.Offset < end || d.Offset > math.MaxInt64-d.Bytes:
			return fmt.Errorf("list of databases: %s is out of bounds or out of order", printable(d.Name))
		}
		names[d.Name] = true
		end = d.Offset + d.Bytes
	}
	return nil
}
