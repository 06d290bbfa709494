package fanout

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/pgark/pgark/archive"
)

// RemoteOptions say how to reach the volumes of a set where they lie.
type RemoteOptions struct {
	Starter Starter
	Jobs    int                                     // blocks at once on each host, or sessions
	Path    func(v *archive.Volume) (string, error) // of a volume on its host; nil for where it was written
	Report  func(rows, bytes uint64)                // is told what workers have done since the last time; nil is silent
	Place   func(Place) Place                       // where workers for a place are started; nil for there
	TempDir string                                  // of the copies; "" for the system's
}

// Remote is a set of which only the lead volume is here. Of each other volume there is a copy without blocks, in a file that has no
// name: a skeleton, which is proven by the lead volume's root like the volume itself. Fetch copies the blocks of
// some streams into it, and then they can be read as if the volume were here.
type Remote struct {
	*archive.Reader
	o       RemoteOptions
	run     string
	volumes []*remoteVolume // by number, from 1
	path    string          // of the lead volume
	files   []io.Closer

	mu sync.Mutex // guards fetched of all volumes
}

// remoteVolume is a volume that lies elsewhere.
type remoteVolume struct {
	*archive.Volume
	place   Place
	path    string
	copy    *os.File // nil where there is no skeleton
	size    int64
	host    string // as it calls itself
	err     error  // why it could not be looked at
	checked *archive.CheckResult
	fetched map[archive.StreamID]bool // by the numbers in the volume
}

// name is how messages call the volume.
func (v *remoteVolume) name() string {
	host := v.host
	if host == "" {
		host = v.place.Host
	}
	if host == "" {
		return v.path
	}
	return host + ":" + v.path
}

// OpenRemote opens a set by its lead volume at path, which is here, and the skeletons of the others, which are where they were written.
// With partial, volumes that are absent are left out as archive.OpenWith does; else an error names them. The caller closes it.
func OpenRemote(ctx context.Context, path string, o RemoteOptions, partial bool) (*Remote, error) {
	x, err := newRemote(path, o)
	if err != nil {
		return nil, err
	}
	if err := x.open(ctx, partial); err != nil {
		return nil, closing(x, err)
	}
	return x, nil
}

// newRemote reads the lead volume.
func newRemote(path string, o RemoteOptions) (*Remote, error) {
	lead, err := archive.OpenWith(path, archive.OpenOptions{LeadOnly: true})
	if err != nil {
		return nil, err
	}
	x := &Remote{Reader: lead.Reader, o: o, run: strings.ToLower(rand.Text()[:8]), path: path, files: []io.Closer{lead}}
	if err := x.locate(); err != nil {
		return nil, closing(x, err)
	}
	return x, nil
}

// locate finds out where the volumes are.
func (x *Remote) locate() error {
	if !x.IsSet() {
		return fmt.Errorf("%s is no lead volume of a set: it has no volumes on other hosts", x.path)
	}
	moment, err := x.Moment()
	if err != nil {
		return err
	}
	nodes := make(map[uint32]archive.Node)
	for _, n := range moment.Nodes {
		nodes[n.ID] = n
	}
	for _, st := range x.Volumes() {
		n := nodes[st.Node]
		v := &remoteVolume{
			Volume: st.Volume, path: st.Path, fetched: make(map[archive.StreamID]bool),
			place: Place{Node: n.Name, Host: n.Host, Content: int(n.Content)},
		}
		if v.place.Node == "" {
			v.place.Node = fmt.Sprint(st.Node)
		}
		if x.o.Place != nil {
			v.place = x.o.Place(v.place)
		}
		if x.o.Path != nil {
			if v.path, err = x.o.Path(st.Volume); err != nil {
				return err
			}
		}
		x.volumes = append(x.volumes, v)
	}
	return nil
}

// Close removes the copies and closes the lead volume.
func (x *Remote) Close() error {
	var errs []error
	for _, f := range x.files {
		errs = append(errs, f.Close())
	}
	for _, v := range x.volumes {
		if v.copy != nil {
			errs = append(errs, v.copy.Close())
		}
	}
	return errors.Join(errs...)
}

// tasks makes a task for some volumes.
func (x *Remote) tasks(do string, of []*remoteVolume) ([]Task, []Place) {
	tasks, places := make([]Task, len(of)), make([]Place, len(of))
	for i, v := range of {
		places[i] = v.place
		tasks[i] = Task{
			Do: do, Version: JobVersion, From: uint32(i + 1), Node: Text(v.place.Node), Path: Text(v.path), Run: x.run, //nolint:gosec // an index
			Jobs: max(x.o.Jobs, 1), Root: v.Root[:],
		}
	}
	return tasks, places
}

// open gets the skeletons, checks what each is, and makes a reader of them.
func (x *Remote) open(ctx context.Context, partial bool) error {
	if !partial { // else a host that can't be asked is one more volume that is absent
		if err := x.o.Starter.Check(ctx, x.places()); err != nil {
			return err
		}
	}
	tasks, places := x.tasks(TaskOpen, x.volumes)
	err := x.ask(ctx, tasks, places)
	x.o.Starter.Close(ctx)
	if err != nil {
		return err
	}
	return x.assemble(partial)
}

// assemble makes a reader of the lead volume and the skeletons.
func (x *Remote) assemble(partial bool) error {
	f, err := os.Open(x.path)
	if err != nil {
		return err
	}
	x.files = append(x.files, f)
	info, err := f.Stat()
	if err != nil {
		return err
	}
	x.Reader, err = archive.NewSetReader(f, info.Size(), x.source, partial)
	return err
}

// places are where the volumes lie.
func (x *Remote) places() []Place {
	places := make([]Place, len(x.volumes))
	for i, v := range x.volumes {
		places[i] = v.place
	}
	return places
}

// source implements archive.VolumeSource.
func (x *Remote) source(m *archive.Volume) (io.ReaderAt, int64, string, error) {
	v := x.volumes[m.Number-1]
	switch {
	case v.err != nil:
		return nil, 0, v.name(), v.err
	case v.copy == nil:
		return nil, 0, v.name(), errors.New("what is there is damaged, or is no archive")
	}
	return v.copy, v.size, v.name(), nil
}

// ask has the tasks done, one for each volume, and keeps what is answered in the volumes. The error is ctx's.
func (x *Remote) ask(ctx context.Context, tasks []Task, places []Place) error {
	errs := x.o.Starter.Run(ctx, tasks, places, false, func(i int, line *WorkerLine) error { return x.volumes[i].take(line, x.o) })
	if err := context.Cause(ctx); err != nil {
		return err
	}
	for i, err := range errs {
		if err != nil {
			x.volumes[i].err = err
		}
	}
	return nil
}

// errAnswer is for answers that make no sense.
var errAnswer = fmt.Errorf("%w: its answer makes no sense", ErrWorker)

// take keeps an answer about the volume. Nothing in it is believed: what is put together is proven by the lead volume.
func (v *remoteVolume) take(line *WorkerLine, o RemoteOptions) error {
	switch {
	case line.Progress != nil:
		if o.Report != nil {
			o.Report(line.Progress.Rows, line.Progress.Bytes)
		}
	case line.Checked != nil:
		v.checked = &archive.CheckResult{}
		if err := gob.NewDecoder(bytes.NewReader(line.Checked)).Decode(v.checked); err != nil {
			return fmt.Errorf("%w: %w", errAnswer, err)
		}
	case line.Opened != nil:
		v.size, v.host = line.Opened.Size, line.Opened.Host
	case line.Data != nil:
		d := line.Data
		if d.Offset < 0 || d.Offset > v.size || int64(len(d.Bytes)) > v.size-d.Offset {
			return errAnswer
		}
		if v.copy == nil {
			var err error
			if v.copy, err = unnamedFile(o.TempDir); err != nil {
				return err
			}
			if err := v.copy.Truncate(v.size); err != nil { // most of it stays a hole
				return err
			}
		}
		_, err := v.copy.WriteAt(d.Bytes, d.Offset)
		return err
	default:
		return errAnswer
	}
	return nil
}

// unnamedFile makes a file that is gone when it is closed.
func unnamedFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "pgark-*")
	if err != nil {
		return nil, fmt.Errorf("a temporary file for what comes from other hosts: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// closing closes after an error, which stays as it is unless that fails too.
func closing(c io.Closer, err error) error {
	if also := c.Close(); also != nil {
		return errors.Join(err, also)
	}
	return err
}

// Fetch copies the blocks of streams from where they lie, so that they can be read. Those that were fetched before stay.
func (x *Remote) Fetch(ctx context.Context, streams []archive.StreamID) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	wanted := make(map[uint32][]archive.StreamID)
	for _, id := range streams {
		number, local := x.Origin(id)
		if number != 0 && !x.volumes[number-1].fetched[local] {
			wanted[number] = append(wanted[number], local)
		}
	}
	var of []*remoteVolume
	for _, v := range x.volumes {
		if len(wanted[v.Number]) > 0 {
			of = append(of, v)
		}
	}
	if len(of) == 0 {
		return nil
	}
	tasks, places := x.tasks(TaskRead, of)
	for i, v := range of {
		tasks[i].Streams = packStreams(wanted[v.Number])
	}
	errs := x.o.Starter.Run(ctx, tasks, places, true, func(i int, line *WorkerLine) error { return of[i].take(line, x.o) })
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := joinErrors(errs); err != nil {
		return err
	}
	for _, v := range of {
		for _, id := range wanted[v.Number] {
			v.fetched[id] = true
		}
	}
	return nil
}

// FetchEntries fetches the streams of some entries of the catalog; nil means everything.
func (x *Remote) FetchEntries(ctx context.Context, entries map[int32]bool) error {
	var ids []archive.StreamID
	for _, s := range x.Streams() {
		if entries == nil || entries[s.Entry] {
			ids = append(ids, s.ID)
		}
	}
	return x.Fetch(ctx, ids)
}

// CheckRemote has each volume of a set checked on the host where it lies, all at once, and returns what archive.CheckOptions takes as
// Members. What is wrong with volumes, or hosts, is in there; the error is that nothing could be done. The set can be read as
// after OpenRemote, without the volumes that are absent; the caller closes it.
func CheckRemote(ctx context.Context, path string, o RemoteOptions, quick bool) (*Remote, map[uint32]*archive.MemberCheck, error) {
	x, err := newRemote(path, o)
	if err != nil {
		return nil, nil, err
	}
	checks, err := x.check(ctx, quick)
	if err != nil {
		return nil, nil, closing(x, err)
	}
	return x, checks, nil
}

func (x *Remote) check(ctx context.Context, quick bool) (map[uint32]*archive.MemberCheck, error) {
	tasks, places := x.tasks(TaskCheck, x.volumes)
	for i := range tasks {
		tasks[i].Quick = quick
	}
	if err := x.ask(ctx, tasks, places); err != nil {
		return nil, err
	}
	checks := make(map[uint32]*archive.MemberCheck, len(x.volumes))
	for _, v := range x.volumes {
		c := &archive.MemberCheck{Name: v.name(), Err: v.err, Result: v.checked, Size: v.size}
		if c.Err == nil && c.Result == nil {
			c.Err = errAnswer
		}
		if v.copy != nil {
			c.Skeleton = v.copy
		}
		checks[v.Number] = c
	}
	return checks, x.assemble(true)
}

// streamsOf are the numbers of streams in one volume, of those of a reader.
func (x *Remote) streamsOf(streams []archive.Stream) (volume uint32, ids []archive.StreamID, one bool) {
	for i := range streams {
		number, local := x.Origin(streams[i].ID)
		if i > 0 && number != volume {
			return 0, nil, false
		}
		volume = number
		ids = append(ids, local)
	}
	slices.Sort(ids)
	return volume, ids, volume != 0
}
