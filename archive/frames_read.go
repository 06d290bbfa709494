package archive

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// readSlot is a frame on its way from the file to whoever takes it.
type readSlot struct {
	v     *volume
	i     int
	frame Frame
	err   error
	done  chan struct{} // closed when it was read
}

// eachFrame reads the frames of all streams as they are stored, in the order of the volumes and in them of the file,
// checks them against the indexes, and calls take with each in that order. jobs goroutines read and check ahead. A frame is take's
// until that returns.
func (x *Reader) eachFrame(ctx context.Context, jobs int, take func(v *volume, i int, f *Frame) error) error {
	jobs = max(jobs, 1)
	n := jobs + 2
	free, work, order := make(chan *readSlot, n), make(chan *readSlot, n), make(chan *readSlot, n)
	for range n {
		free <- &readSlot{}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(work)
		defer close(order)
		return x.feed(ctx, free, work, order)
	})
	for range jobs {
		g.Go(func() error {
			for s := range work {
				s.frame.hdr, s.err = s.v.load(s.i, &s.frame.buf)
				s.frame.sha = s.v.frames.at(s.i).sha
				close(s.done)
			}
			return nil
		})
	}
	g.Go(func() error {
		for s := range order {
			<-s.done
			if s.err == nil {
				s.err = take(s.v, s.i, &s.frame)
			}
			if s.err != nil {
				return s.err
			}
			free <- s
		}
		return nil
	})
	return g.Wait()
}

// feed hands out the frames. There are as many slots as have room in work and order, so neither ever blocks.
func (x *Reader) feed(ctx context.Context, free <-chan *readSlot, work, order chan<- *readSlot) error {
	for _, v := range x.volumes {
		for i := range v.frames.n {
			if v.frames.at(i).stream == 0 {
				continue
			}
			select {
			case s := <-free:
				s.v, s.i, s.done = v, i, make(chan struct{})
				work <- s
				order <- s
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}
