package wire

import "testing"

// Pauses grow while little is there, shrink when much is, and stay within their bounds.
func TestPace(t *testing.T) {
	var p pace
	if p.due {
		t.Error("a pause before the first read")
	}
	p.brought(8<<10, false)
	if !p.due || p.length != pauseLeast {
		t.Errorf("after a small read: due %v, %d ns", p.due, p.length)
	}
	for range 20 {
		p.brought(8<<10, false)
	}
	if p.length != pauseMost {
		t.Errorf("after many small reads %d ns, not %d", p.length, pauseMost)
	}
	p.brought(pauseBelow, false)
	if p.due || p.length != pauseMost {
		t.Errorf("after a read that brought enough: due %v, %d ns", p.due, p.length)
	}
	p.brought(100, true)
	if p.due {
		t.Error("a pause after a read that was filled")
	}
	for range 20 {
		p.brought(readBuffer, false)
	}
	if p.due || p.length != pauseLeast {
		t.Errorf("after many large reads: due %v, %d ns", p.due, p.length)
	}
}
