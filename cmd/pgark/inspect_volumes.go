package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"

	"github.com/pgark/pgark/archive"
)

// addVolumes describes the volumes: the one that was given, and of a set the others.
func (in *inspection) addVolumes(a *archive.File, path string) {
	h := a.Header()
	size := a.Size()
	for _, v := range a.Volumes() {
		if v.Err == nil {
			size -= int64(v.Bytes)
		}
	}
	in.Volumes = []inspectVolume{{ID: h.ID.String(), Name: filepath.Base(path), Bytes: size, RootDigest: in.RootDigest, Path: path, State: "ok"}}
	if !a.IsSet() {
		return
	}
	in.Set = h.Member.Set.String()
	for _, v := range a.Volumes() {
		x := inspectVolume{
			ID: v.ID.String(), Name: filepath.Base(v.Path), Bytes: int64(v.Bytes), RootDigest: fmt.Sprintf("%x", v.Root), Number: v.Number,
			Node: v.Node, Host: v.Host, Path: v.Path, Rows: v.Rows, RawBytes: v.RawBytes, State: "ok",
		}
		var e *archive.VolumeError
		if errors.As(v.Err, &e) {
			x.State, x.Message = e.Problem, e.Error()
		}
		in.Volumes = append(in.Volumes, x)
	}
}

// printVolumes shows the volumes of a set.
func (in *inspection) printVolumes(w io.Writer) {
	if in.Set == "" {
		return
	}
	names := make(map[uint32]string)
	for _, n := range in.Nodes {
		names[n.ID] = n.Name
	}
	table := newColumns(">volume", "node", "host", "path", ">rows", ">raw", ">size", "root", "state")
	for _, v := range in.Volumes {
		node := visible(names[v.Node])
		if v.Number == 0 {
			node = "lead volume"
		}
		const digits = 16
		table.add(strconv.FormatUint(uint64(v.Number), 10), dash(node), dash(visible(v.Host)), dash(visible(v.Path)), humanCount(v.Rows),
			humanBytes(v.RawBytes), humanBytes(uint64(max(v.Bytes, 0))), v.RootDigest[:digits]+"…", v.State)
	}
	fmt.Fprintln(w)
	_ = table.write(w)
}
