package pgtest

import (
	"bytes"
	"testing"
)

// TestMemory reads what was written back, between writes of every size and after them.
func TestMemory(t *testing.T) {
	var m Memory
	var want []byte
	for _, size := range []int{0, 1, memoryPart - 1, 1, memoryPart, 2*memoryPart + 5, 0, 7} {
		p := bytes.Repeat([]byte{byte(size)}, size)
		want = append(want, p...)
		n, err := m.Write(p)
		if n != size || err != nil || m.Len() != len(want) || !bytes.Equal(m.Bytes(), want) {
			t.Fatalf("after a write of %d bytes: n %d, error %v, length %d of %d", size, n, err, m.Len(), len(want))
		}
	}
}
