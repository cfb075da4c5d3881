package engine

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// fetch gets the package through npm, checks it, and puts the library and its
// record in place.
func fetch(ctx context.Context, p platform, path string, progress io.Writer) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return fmt.Errorf("the ClickHouse engine library is not on this machine and npm, which would fetch it, is not either: %s", threeWays)
	}
	// Beside the cache, not in /tmp, which may be small or in memory.
	tmp, err := os.MkdirTemp(filepath.Dir(path), "fetch-")
	if err != nil {
		return fmt.Errorf("fetch engine library: %w", err)
	}
	defer os.RemoveAll(tmp)
	archive, err := pack(ctx, npm, p, tmp, progress)
	if err != nil {
		return err
	}
	if err := install(archive, p, path, progress); err != nil {
		return fmt.Errorf("install engine library: %w", err)
	}
	return nil
}

// pack runs npm pack in tmp and returns the archive's path. The user's own npm
// settings decide where it comes from; no script of the package runs.
func pack(ctx context.Context, npm string, p platform, tmp string, progress io.Writer) (string, error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, npm, "pack", p.pkg+"@"+Version, "--ignore-scripts", "--loglevel", "error", "--pack-destination", tmp)
	cmd.Dir = tmp
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 5 * time.Second
	bar := newBar(progress, "fetching the ClickHouse engine library", p.packed)
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("run npm: %w; %s", err, threeWays)
	}
	// npm tells nothing while it works, and writes the archive when it has it all:
	// what its directory holds so far is the best that can be shown.
	watched := make(chan struct{})
	finished := make(chan struct{})
	go func() {
		defer close(watched)
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-finished:
				return
			case <-tick.C:
				bar.show(largest(tmp))
			}
		}
	}()
	err := cmd.Wait()
	close(finished)
	<-watched
	if err != nil {
		bar.end()
		if ctx.Err() != nil {
			return "", fmt.Errorf("fetch engine library: %w", ctx.Err())
		}
		return "", fmt.Errorf("npm pack %s@%s: %w: %s; check npm's network and settings, or %s", p.pkg, Version, err, plainError(out.String()), threeWays)
	}
	found, err := filepath.Glob(filepath.Join(tmp, "*.tgz"))
	if err != nil || len(found) != 1 {
		bar.end()
		return "", fmt.Errorf("npm pack left %d archives in %s, expected one; %s", len(found), tmp, threeWays)
	}
	bar.show(largest(tmp))
	bar.end()
	return found[0], nil
}

// largest is the size of the largest file in dir.
func largest(dir string) int64 {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	var most int64
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			most = max(most, info.Size())
		}
	}
	return most
}

// install checks the archive's hash, unpacks the library beside path, syncs it
// and renames it into place: a library is there whole or not at all.
func install(archive string, p platform, path string, progress io.Writer) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	// The hash comes first and over the whole archive: nothing unverified is
	// unpacked.
	h := sha512.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := base64.StdEncoding.EncodeToString(h.Sum(nil)); got != p.integrity {
		return fmt.Errorf("%s@%s has sha512 %s, pinned is %s: the package is not the one this program was built for; try again, or set CHDB_LIB_PATH to a copy you trust", p.pkg, Version, got, p.integrity)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	tmp := path + ".new"
	defer os.Remove(tmp)
	r, err := unpack(f, p, tmp, progress)
	if err != nil {
		return err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	// The record last: without it the library is not taken for whole.
	if err := os.Remove(recordPath(path)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	if err := writeSynced(recordPath(path), append(text, '\n')); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// unpack writes the library from the archive to tmp and returns its record.
func unpack(archive io.Reader, p platform, tmp string, progress io.Writer) (record, error) {
	z, err := gzip.NewReader(archive)
	if err != nil {
		return record{}, err
	}
	files := tar.NewReader(z)
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return record{}, fmt.Errorf("%s@%s holds no %s", p.pkg, Version, p.file)
		}
		if err != nil {
			return record{}, err
		}
		if header.Name != "package/"+p.file {
			continue
		}
		out, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
		if err != nil {
			return record{}, err
		}
		defer out.Close()
		bar := newBar(progress, "unpacking", p.unpacked)
		defer bar.end()
		h := sha256.New()
		n, err := io.Copy(io.MultiWriter(out, h, bar), io.LimitReader(files, 4*p.unpacked))
		if err != nil {
			return record{}, err
		}
		if err := out.Sync(); err != nil {
			return record{}, err
		}
		return record{Version: Version, Size: n, SHA256: hex.EncodeToString(h.Sum(nil))}, nil
	}
}

// writeSynced replaces a small file whole.
func writeSynced(path string, text []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// syncDir makes renames in dir last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// bar shows how far something is.
type bar struct {
	out      io.Writer
	what     string
	total    int64
	done     int64
	terminal bool
	shown    int64 // tenths shown when not a terminal
	last     time.Time
	any      bool
}

// newBar shows nothing when out is nil.
func newBar(out io.Writer, what string, total int64) *bar {
	b := &bar{out: out, what: what, total: total, shown: -1}
	if f, ok := out.(*os.File); ok {
		if info, err := f.Stat(); err == nil {
			b.terminal = info.Mode()&os.ModeCharDevice != 0
		}
	}
	return b
}

// Write counts bytes.
func (b *bar) Write(p []byte) (int, error) {
	b.show(b.done + int64(len(p)))
	return len(p), nil
}

// show says that done of the total are there.
func (b *bar) show(done int64) {
	b.done = done
	if b.out == nil {
		return
	}
	percent := min(100, done*100/b.total)
	if b.terminal {
		if time.Since(b.last) >= 100*time.Millisecond || percent == 100 {
			b.last, b.any = time.Now(), true
			fmt.Fprintf(b.out, "\r%s: %d of %d MB, %d %%", b.what, done/1_000_000, b.total/1_000_000, percent)
		}
		return
	}
	if percent/10 > b.shown {
		b.shown = percent / 10
		fmt.Fprintf(b.out, "%s: %d of %d MB, %d %%\n", b.what, done/1_000_000, b.total/1_000_000, percent)
	}
}

// end finishes a terminal's line.
func (b *bar) end() {
	if b.terminal && b.any {
		b.any = false
		fmt.Fprintln(b.out)
	}
}
