package archive

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// maxMoment limits the bytes of a moment. The distributions of 100,000 tables take some 10 MB, and so do as many losses.
const maxMoment = 64 << 20

// appendMoment writes m as a message:
//
//	1 time  2 route  3 promise  4 node, repeated  5 setting, repeated, by name  6 loss, repeated
//	7 distribution, repeated  8 reason
func appendMoment(b []byte, m *Moment) []byte {
	b = appendTime(b, 1, m.Time)
	b = appendString(b, 2, m.Route)
	b = appendString(b, 3, m.Promise)
	for i := range m.Nodes {
		b = appendField(b, 4, appendNode(nil, &m.Nodes[i]))
	}
	for _, name := range slices.Sorted(maps.Keys(m.Settings)) {
		b = appendField(b, 5, appendString(appendString(nil, 1, name), 2, m.Settings[name]))
	}
	for i := range m.Losses {
		b = appendField(b, 6, appendLoss(nil, &m.Losses[i]))
	}
	for i := range m.Distributions {
		b = appendField(b, 7, appendDistribution(nil, &m.Distributions[i]))
	}
	return appendString(b, 8, m.Reason)
}

func parseMoment(s string) (*Moment, error) {
	m := &Moment{}
	f := fields{s: s, repeat: []uint64{4, 5, 6, 7}}
	last := ""
	for f.next() {
		switch f.num {
		case 1:
			m.Time = f.time()
		case 2:
			m.Route = f.str()
		case 3:
			m.Promise = f.str()
		case 4:
			n, err := parseNode(f.body)
			if err != nil {
				return nil, fmt.Errorf("moment: node: %w", err)
			}
			m.Nodes = append(m.Nodes, n)
		case 5:
			name, value, err := parseSetting(f.body)
			if err != nil {
				return nil, fmt.Errorf("moment: setting: %w", err)
			}
			if m.Settings == nil {
				m.Settings = make(map[string]string)
			} else if name <= last {
				f.fail("setting %q follows %q", name, last)
			}
			last = name
			m.Settings[name] = value
		case 6:
			l, err := parseLoss(f.body)
			if err != nil {
				return nil, fmt.Errorf("moment: loss: %w", err)
			}
			m.Losses = append(m.Losses, l)
		case 7:
			d, err := parseDistribution(f.body)
			if err != nil {
				return nil, fmt.Errorf("moment: distribution: %w", err)
			}
			m.Distributions = append(m.Distributions, d)
		case 8:
			m.Reason = f.str()
		}
	}
	if f.err != nil {
		return nil, fmt.Errorf("moment: %w", f.err)
	}
	return m, nil
}

// appendTime writes t, unless it is the zero time, in microseconds since 1970.
func appendTime(b []byte, num uint64, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	if v := t.UnixMicro(); v != 0 {
		return appendInt(b, num, v)
	}
	return appendField(b, num, "\x00")
}

func (f *fields) time() time.Time {
	return time.UnixMicro(unzigzag(f.uintOrZero(math.MaxUint64))).UTC()
}

// appendNode: 1 id  2 name  3 host  4 port  5 snapshot  6 content, zigzag  7 database.
func appendNode(b []byte, n *Node) []byte {
	b = appendUint(b, 1, uint64(n.ID))
	b = appendString(b, 2, n.Name)
	b = appendString(b, 3, n.Host)
	b = appendUint(b, 4, uint64(n.Port))
	b = appendString(b, 5, n.Snapshot)
	b = appendInt(b, 6, int64(n.Content))
	return appendString(b, 7, n.Database)
}

func parseNode(s string) (Node, error) {
	var n Node
	f := fields{s: s}
	for f.next() {
		switch f.num {
		case 1:
			n.ID = uint32(f.uint(math.MaxUint32))
		case 2:
			n.Name = f.str()
		case 3:
			n.Host = f.str()
		case 4:
			n.Port = uint16(f.uint(math.MaxUint16))
		case 5:
			n.Snapshot = f.str()
		case 6:
			n.Content = f.int32()
		case 7:
			n.Database = f.str()
		}
	}
	return n, f.err
}

// parseSetting: 1 name  2 value.
func parseSetting(s string) (name, value string, err error) {
	f := fields{s: s}
	for f.next() {
		switch f.num {
		case 1:
			name = f.str()
		case 2:
			value = f.str()
		}
	}
	return name, value, f.err
}

// appendLoss: 1 schema  2 table  3 blocks  4 rows  5 message.
func appendLoss(b []byte, l *Loss) []byte {
	b = appendString(b, 1, l.Schema)
	b = appendString(b, 2, l.Table)
	b = appendUint(b, 3, l.Blocks)
	b = appendUint(b, 4, l.Rows)
	return appendString(b, 5, l.Message)
}

func parseLoss(s string) (Loss, error) {
	var l Loss
	f := fields{s: s}
	for f.next() {
		switch f.num {
		case 1:
			l.Schema = f.str()
		case 2:
			l.Table = f.str()
		case 3:
			l.Blocks = f.uint(math.MaxUint64)
		case 4:
			l.Rows = f.uint(math.MaxUint64)
		case 5:
			l.Message = f.str()
		}
	}
	return l, f.err
}

// appendDistribution: 1 OID  2 schema  3 table  4 kind  5 column, repeated  6 operator class, repeated  7 segments  8 node
// 9 bound.
func appendDistribution(b []byte, d *Distribution) []byte {
	b = appendUint(b, 1, uint64(d.OID))
	b = appendString(b, 2, d.Schema)
	b = appendString(b, 3, d.Table)
	b = appendString(b, 4, d.Kind)
	for _, c := range d.Columns {
		b = appendField(b, 5, c)
	}
	for _, c := range d.OpClasses {
		b = appendField(b, 6, c)
	}
	b = appendUint(b, 7, uint64(d.Segments))
	b = appendUint(b, 8, uint64(d.Node))
	return appendString(b, 9, d.Bound)
}

func parseDistribution(s string) (Distribution, error) {
	var d Distribution
	f := fields{s: s, repeat: []uint64{5, 6}}
	for f.next() {
		switch f.num {
		case 1:
			d.OID = uint32(f.uint(math.MaxUint32))
		case 2:
			d.Schema = f.str()
		case 3:
			d.Table = f.str()
		case 4:
			d.Kind = f.str()
		case 5:
			d.Columns = append(d.Columns, f.body)
		case 6:
			d.OpClasses = append(d.OpClasses, f.body)
		case 7:
			d.Segments = uint32(f.uint(math.MaxUint32))
		case 8:
			d.Node = uint32(f.uint(math.MaxUint32))
		case 9:
			d.Bound = f.str()
		}
	}
	return d, f.err
}
