package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/spf13/pflag"

	"github.com/pgark/pgark/archive"
	"github.com/pgark/pgark/fanout"
)

// formatPgark is pgark's own format, beside those of pg_dump that package fanout names.
const formatPgark = "pgark"

// stockOptions say how a dump in a format of pg_dump is written. They are shared by dump and convert.
type stockOptions struct {
	format  string
	version string
	parts   int
	script  scriptOptions

	codec archive.Codec // what validate makes of -Z
	level int
}

// scriptOptions are for scripts of SQL.
type scriptOptions struct {
	key        string
	noRestrict bool
}

func (o *scriptOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.key, "restrict-key", "", "of a script: the `KEY` of \\restrict, letters and digits (default a random one)")
	f.BoolVar(&o.noRestrict, "no-restrict", false, "of a script: leave \\restrict out, for a psql from before August 2025")
}

func (o *scriptOptions) validate() error {
	switch {
	case o.key != "" && o.noRestrict:
		return usagef("--restrict-key and --no-restrict cannot be used together")
	case strings.Trim(o.key, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
		return usagef("--restrict-key %s: only letters and digits", quoteArg(o.key))
	}
	return nil
}

func (o *scriptOptions) engine(plan fanout.PlanOptions) fanout.ScriptOptions {
	return fanout.ScriptOptions{PlanOptions: plan, RestrictKey: o.key, NoRestrict: o.noRestrict}
}

func (o *stockOptions) addFlags(f *pflag.FlagSet, standard string) {
	f.StringVarP(&o.format, "format", "F", standard, "`format`: pgark (k), or pg_dump's custom (c), directory (d), tar (t), plain (p)")
	f.StringVar(&o.version, "archive-version", "", "`version` of custom, directory and tar: 1.13 (read by pg_restore 11 and later), 1.14 (12), 1.15 (16), 1.16 (17) (default the oldest that holds the content)")
	f.IntVar(&o.parts, "intra-table", 0, "divide large tables into `N` entries of custom and directory, so that pg_restore -j loads one over several sessions; only for a pg_restore from March 2023 or later")
	o.script.addFlags(f)
}

// validate reads the format, and -Z, whose standard depends on it: pg_dump's is gzip.
func (o *stockOptions) validate(f *pflag.FlagSet, compress string) error {
	names := map[string]string{
		"k": formatPgark, "c": fanout.FormatCustom, "d": fanout.FormatDirectory, "t": fanout.FormatTar, "p": fanout.FormatPlain,
		"file": fanout.FormatDirectory,
	}
	if full, ok := names[o.format]; ok {
		o.format = full
	}
	if !slices.Contains([]string{formatPgark, fanout.FormatCustom, fanout.FormatDirectory, fanout.FormatTar, fanout.FormatPlain}, o.format) {
		return usagef("-F %s: not a format; there are pgark, custom, directory, tar and plain", quoteArg(o.format))
	}
	if !f.Changed("compress") {
		switch o.format {
		case fanout.FormatCustom, fanout.FormatDirectory:
			compress = "gzip"
		case fanout.FormatTar, fanout.FormatPlain:
			compress = "none"
		}
	}
	var err error
	if o.codec, o.level, err = parseCompress(compress, o.format); err != nil {
		return err
	}
	if err := o.script.validate(); err != nil {
		return err
	}
	return o.validatePairs(f)
}

// validatePairs refuses what a format does not have.
func (o *stockOptions) validatePairs(f *pflag.FlagSet) error {
	inTOC := o.format == fanout.FormatCustom || o.format == fanout.FormatDirectory || o.format == fanout.FormatTar
	for _, pair := range []struct {
		wrong bool
		text  string
	}{
		{o.codec == archive.CodecXZ && o.format != formatPgark, "-Z xz is for pgark's own format: pg_restore does not read it"},
		{o.codec != archive.CodecNone && o.format == fanout.FormatTar, "-F tar is never compressed: leave -Z out, or take custom"},
		{o.version != "" && !inTOC, "--archive-version is for custom, directory and tar"},
		{o.version != "" && !slices.Contains([]string{"1.13", "1.14", "1.15", "1.16"}, o.version), "--archive-version must be 1.13, 1.14, 1.15 or 1.16"},
		{
			f.Changed("compress") && (o.codec == archive.CodecLZ4 || o.codec == archive.CodecZstd) && (o.version == "1.13" || o.version == "1.14"),
			"--archive-version " + o.version + " has neither lz4 nor zstd: those need 1.15, which pg_restore 16 and later read",
		},
		{f.Changed("intra-table") && o.format != fanout.FormatCustom && o.format != fanout.FormatDirectory, "--intra-table is for custom and directory"},
		{f.Changed("intra-table") && (o.parts < 1 || o.parts > 1000), "--intra-table must be between 1 and 1000"},
		{
			(o.script.key != "" || o.script.noRestrict) && o.format != fanout.FormatPlain && o.format != fanout.FormatTar,
			"--restrict-key and --no-restrict are for scripts: -F plain, or the one in -F tar",
		},
	} {
		if pair.wrong {
			return usagef("%s", pair.text)
		}
	}
	return nil
}

// stock tells whether the format is one of pg_dump's.
func (o *stockOptions) stock() bool { return o.format != formatPgark }

// text tells whether what is written is for people, too.
func (o *stockOptions) text() bool {
	return o.format == fanout.FormatPlain && o.codec == archive.CodecNone
}

func (o *stockOptions) engine(jobs int, plan fanout.PlanOptions) fanout.StockOptions {
	return fanout.StockOptions{
		Format: o.format, Version: o.version, Codec: o.codec, Level: o.level, Jobs: jobs, Parts: o.parts,
		Script: o.script.engine(plan),
	}
}

// extension ends the default name of a dump.
func (o *stockOptions) extension() string {
	switch o.format {
	case fanout.FormatCustom:
		return ".dump"
	case fanout.FormatDirectory:
		return ".dir"
	case fanout.FormatTar:
		return ".tar"
	case fanout.FormatPlain:
		return map[archive.Codec]string{archive.CodecGzip: ".sql.gz", archive.CodecLZ4: ".sql.lz4", archive.CodecZstd: ".sql.zst"}[o.codec] +
			map[bool]string{true: ".sql"}[o.codec == archive.CodecNone]
	}
	return ".pgark"
}

// stockOut is where a dump in a format of pg_dump goes: a file that appears when it is complete, or a directory.
type stockOut struct {
	fanout.StockTarget
	file *outFile
	end  io.Closer // completes the compression of a script

	forget func() // of a directory: that it may have to be removed at once; nil for nothing
}

// create opens the output. The caller ends it with commit or discard.
func (o *stockOptions) create(a *app, name string, force bool) (*stockOut, error) {
	if o.format == fanout.FormatDirectory {
		if name == "-" {
			return nil, usagef("-F directory needs -f DIR: it is no file")
		}
		s := &stockOut{}
		s.StockTarget = fanout.StockTarget{Dir: name, Partial: func(dir string) { s.forget = a.removeAtOnce(dir) }, Spool: name}
		if _, err := os.Stat(name); err != nil {
			s.Spool = filepath.Dir(filepath.Clean(name))
		}
		return s, checkDir(name)
	}
	create := a.createOut
	if o.text() {
		create = a.createScript
	}
	file, err := create(name, force)
	if err != nil {
		return nil, err
	}
	s := &stockOut{file: file}
	s.Out = file
	if file.partial != "" && o.format != fanout.FormatPlain {
		s.Out, s.Spool = &seekableOut{outFile: file}, filepath.Dir(file.partial)
	}
	if o.format == fanout.FormatPlain {
		err = s.compress(o.codec, o.level)
	}
	if err != nil {
		file.Discard()
	}
	return s, err
}

// compress has a script compressed on its way, as pg_dump does.
func (s *stockOut) compress(codec archive.Codec, level int) error {
	var w io.WriteCloser
	var err error
	switch codec {
	case archive.CodecGzip:
		if level == 0 {
			level = gzip.DefaultCompression
		}
		w, err = gzip.NewWriterLevel(s.file, level)
	case archive.CodecZstd:
		w, err = zstd.NewWriter(s.file, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(max(level, 1))))
	case archive.CodecLZ4:
		compressor := lz4.NewWriter(s.file)
		if level > 1 {
			err = compressor.Apply(lz4.CompressionLevelOption(lz4.CompressionLevel(1 << (8 + level)))) // lz4.Level2 and so on
		}
		w = compressor
	default:
		return nil
	}
	if err == nil {
		s.Out, s.end = w, w
	}
	return err
}

// seekableOut is a file whose places of data can be patched.
type seekableOut struct{ *outFile }

// WriteAt implements io.WriterAt.
func (o *seekableOut) WriteAt(p []byte, at int64) (int, error) {
	n, err := o.f.WriteAt(p, at)
	o.synced = false
	if err != nil {
		err = &outputError{name: o.label(), written: o.written, err: err}
	}
	return n, err
}

// checkDir refuses a directory that can't be made, before any work is done.
func checkDir(name string) error {
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("the output directory: %w", err)
	case !info.IsDir():
		return withHint(fmt.Errorf("%s exists and is no directory: nothing was done", name), "give another -f DIR")
	}
	entries, err := os.ReadDir(name)
	if err == nil && len(entries) > 0 {
		err = withHint(fmt.Errorf("directory %s is not empty: nothing was done", name), "give another -f DIR")
	}
	return err
}

// commit completes the output, unless ctx was cancelled meanwhile.
func (s *stockOut) commit(ctx context.Context) error {
	if s.end != nil {
		if err := s.end.Close(); err != nil {
			return err
		}
	}
	if s.file == nil {
		return nil // the directory has its name already
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return s.file.Commit()
}

func (s *stockOut) discard() {
	if s.forget != nil {
		s.forget()
	}
	if s.file != nil {
		s.file.Discard()
	}
}

// leftover says what state things are in after a failure.
func (s *stockOut) leftover() string {
	if s.file == nil {
		return filepath.Clean(s.Dir) + " was not written"
	}
	return leftover(s.file, "dump")
}
