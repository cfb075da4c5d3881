package engine

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// npmPack is an archive as npm packs one: a library and what comes with it.
func npmPack(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: "package/" + name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// machine is a machine with an npm that hands out an archive and counts its
// calls, and a platform that expects it.
type machine struct {
	p     platform
	cache string
	calls string
}

func newMachine(t *testing.T, archive []byte, script string) machine {
	t.Helper()
	dir := t.TempDir()
	sum := sha512.Sum512(archive)
	m := machine{
		p: platform{
			pkg: "@example/lib", file: "libexample.so", integrity: base64.StdEncoding.EncodeToString(sum[:]),
			packed: int64(len(archive)), unpacked: 1000,
		},
		cache: filepath.Join(dir, "cache"), calls: filepath.Join(dir, "calls"),
	}
	if err := os.WriteFile(filepath.Join(dir, "archive"), archive, 0o644); err != nil {
		t.Fatal(err)
	}
	if script == "" {
		script = `while [ "$1" != --pack-destination ]; do shift; done; cp "` + dir + `/archive" "$2/example.tgz"`
	}
	text := "#!/bin/sh\necho \"$@\" >> '" + m.calls + "'\n" + script + "\n"
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bin", "npm"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Join(dir, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
	return m
}

func (m machine) find(ctx context.Context, cfg LibraryConfig) (string, error) {
	cfg.CacheDir = m.cache
	return find(ctx, m.p, cfg)
}

func (m machine) fetches(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(m.calls)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return bytes.Count(text, []byte("\n"))
}

func TestLibraryIsFetchedOnceCheckedAndKept(t *testing.T) {
	m := newMachine(t, npmPack(t, map[string]string{"libexample.so": "the library", "index.js": "other"}), "")
	var progress bytes.Buffer
	path, err := m.find(t.Context(), LibraryConfig{Progress: &progress})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "the library" || !filepath.IsAbs(path) {
		t.Fatalf("%s holds %q, error %v", path, text, err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 3 {
		t.Errorf("the cache holds %v, want the library, its record and the lock", entries)
	}
	if !strings.Contains(progress.String(), "100 %") {
		t.Errorf("progress was %q", &progress)
	}
	again, err := m.find(t.Context(), LibraryConfig{Verify: true})
	if err != nil || again != path {
		t.Errorf("second time %s, error %v", again, err)
	}
	if n := m.fetches(t); n != 1 {
		t.Errorf("npm ran %d times, want 1", n)
	}
	call, _ := os.ReadFile(m.calls)
	for _, want := range []string{"pack @example/lib@" + Version + " ", "--ignore-scripts", "--loglevel error"} {
		if !strings.Contains(string(call), want) {
			t.Errorf("npm was called with %q, without %q", call, want)
		}
	}
}

func TestDamagedLibraryIsFetchedAgain(t *testing.T) {
	for claim, damage := range map[string]func(path string) error{
		"a library cut short":      func(path string) error { return os.Truncate(path, 3) },
		"a library without record": func(path string) error { return os.Remove(recordPath(path)) },
		"a record that is not one": func(path string) error { return os.WriteFile(recordPath(path), []byte("{"), 0o644) },
		"a record of another version": func(path string) error {
			return os.WriteFile(recordPath(path), []byte(`{"version":"1","size":11}`), 0o644)
		},
		"a library that was changed": func(path string) error { return os.WriteFile(path, []byte("the librarY"), 0o644) },
		"a library that is gone":     os.Remove,
	} {
		t.Run(claim, func(t *testing.T) {
			m := newMachine(t, npmPack(t, map[string]string{"libexample.so": "the library"}), "")
			path, err := m.find(t.Context(), LibraryConfig{})
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(path); err != nil {
				t.Fatal(err)
			}
			if path, err = m.find(t.Context(), LibraryConfig{Verify: true}); err != nil {
				t.Fatal(err)
			}
			if text, _ := os.ReadFile(path); string(text) != "the library" || m.fetches(t) != 2 {
				t.Errorf("library %q after %d fetches", text, m.fetches(t))
			}
		})
	}
}

func TestLibraryThatCannotBeHad(t *testing.T) {
	good := npmPack(t, map[string]string{"libexample.so": "the library"})
	for _, c := range []struct {
		claim, script string
		change        func(*machine)
		wants         []string
	}{
		{claim: "a package with another hash is not unpacked", change: func(m *machine) { m.p.integrity = "AAAA" }, wants: []string{"sha512", "pinned is AAAA", "CHDB_LIB_PATH"}},
		{claim: "a package without the library", change: func(m *machine) { m.p.file = "other.so" }, wants: []string{"holds no other.so"}},
		{claim: "an npm that fails says why", script: `echo "npm warn noise"; echo "npm error 404 Not Found" >&2; exit 1`, wants: []string{"404 Not Found", "CHDB_LIB_PATH", "EARSHOT_CLICKHOUSE_DSN"}},
		{claim: "an npm that does nothing", script: "exit 0", wants: []string{"left 0 archives"}},
	} {
		t.Run(c.claim, func(t *testing.T) {
			m := newMachine(t, good, c.script)
			if c.change != nil {
				c.change(&m)
			}
			path, err := m.find(t.Context(), LibraryConfig{})
			if err == nil {
				t.Fatalf("found %s", path)
			}
			for _, want := range c.wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v: does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "noise") {
				t.Errorf("%v: repeats npm's warnings", err)
			}
			if entries, _ := os.ReadDir(filepath.Join(m.cache, Version)); len(entries) != 1 {
				t.Errorf("left behind: %v", entries)
			}
		})
	}
}

func TestMachineWithoutNPMIsToldTheThreeWaysOut(t *testing.T) {
	m := newMachine(t, nil, "")
	t.Setenv("PATH", t.TempDir())
	_, err := m.find(t.Context(), LibraryConfig{})
	if err == nil {
		t.Fatal("found a library without npm")
	}
	for _, want := range []string{"npm", "CHDB_LIB_PATH", "EARSHOT_CLICKHOUSE_DSN"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: does not say %q", err, want)
		}
	}
}

func TestInterruptedFetchLeavesNothing(t *testing.T) {
	m := newMachine(t, npmPack(t, nil), "echo started; exec sleep 60")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := m.find(ctx, LibraryConfig{}); done <- err }()
	for m.fetches(t) == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if entries, _ := os.ReadDir(filepath.Join(m.cache, Version)); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestProcessesThatFetchAtOnceFetchOnce(t *testing.T) {
	m := newMachine(t, npmPack(t, map[string]string{"libexample.so": "the library"}), "")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			// Each call opens the lock file anew, as another process would.
			if _, err := m.find(context.Background(), LibraryConfig{}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := m.fetches(t); n != 1 {
		t.Errorf("npm ran %d times, want 1", n)
	}
}

func TestNamedLibraryMustExist(t *testing.T) {
	file := filepath.Join(t.TempDir(), "libchdb.so")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := Library(t.Context(), LibraryConfig{Path: file}); err != nil || got != file {
		t.Errorf("got %q, error %v", got, err)
	}
	for _, path := range []string{file + ".missing", filepath.Dir(file)} {
		if got, err := Library(t.Context(), LibraryConfig{Path: path}); err == nil || !strings.Contains(err.Error(), "CHDB_LIB_PATH") {
			t.Errorf("%s: got %q, error %v", path, got, err)
		}
	}
}

func TestProgressIsALineATenthWhenNotATerminal(t *testing.T) {
	var out bytes.Buffer
	b := newBar(&out, "unpacking", 1000)
	for range 1000 {
		fmt.Fprint(b, "x")
	}
	b.end()
	if lines := bytes.Count(out.Bytes(), []byte("\n")); lines != 11 {
		t.Errorf("%d lines, want 11:\n%s", lines, &out)
	}
}
