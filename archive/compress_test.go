package archive

import (
	"bytes"
	"runtime"
	"sync"
	"testing"
)

// A codec that is used once is garbage as soon as its only call has begun. That call still has all that it works with: what
// is not Go's memory may be freed with the codec, and was, while libzstd read it.
func TestCodecsUsedOnceUnderGarbageCollection(t *testing.T) {
	raw := bytes.Repeat([]byte("17\t2026-01-02\tsome text of a row\n"), 100_000)
	stop := make(chan struct{})
	var collector, workers sync.WaitGroup
	collector.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	})
	for codec, rounds := range map[Codec]int{CodecZstd: 80, CodecLZ4: 3, CodecGzip: 3} {
		for range 2 {
			workers.Go(func() {
				for range rounds {
					if err := onceThrough(codec, raw); err != nil {
						t.Errorf("%s: %v", codec, err)
						return
					}
				}
			})
		}
	}
	workers.Wait()
	close(stop)
	collector.Wait()
}

// onceThrough compresses and decompresses raw with codecs of its own.
func onceThrough(codec Codec, raw []byte) error {
	c, err := newCompressor(codec, 1)
	if err != nil {
		return err
	}
	packed := make([]byte, c.bound(len(raw)))
	n, err := c.compress(packed, raw)
	if err != nil {
		return err
	}
	d, err := newDecompressor(codec)
	if err != nil {
		return err
	}
	got := make([]byte, len(raw))
	n, err = d.decompress(got, packed[:n])
	if err == nil && !bytes.Equal(got[:n], raw) {
		err = errPayloadCRC
	}
	return err
}
