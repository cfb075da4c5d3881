package engine

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Version is the release of the library this package is written against and
// fetches: the npm packages' version. The library calls itself 26.7.3 and the
// engine in it ClickHouse 26.7.2.
const Version = "26.7.3-stable.1"

// LibraryConfig says where to look for the library.
type LibraryConfig struct {
	// Path is a copy of libchdb that the user names (CHDB_LIB_PATH). When set it
	// must exist; nothing else is looked at and nothing is fetched or verified.
	Path string
	// CacheDir is where fetched libraries are kept, default the user's cache
	// directory (os.UserCacheDir) with earshot/chdb below it.
	CacheDir string
	// Progress takes the fetch's progress, nil for none: one line rewritten in
	// place when it is a terminal, else a line every tenth.
	Progress io.Writer
	// Verify hashes the whole cached library even when its record and size
	// agree; it reads 566 MB.
	Verify bool
}

// platform is a build of the library that npm has.
type platform struct {
	pkg       string // npm package
	file      string // of the library inside the package
	integrity string // npm's sha512 of the package, as base64
	packed    int64  // bytes of the package
	unpacked  int64  // bytes of the library
}

// platforms are the builds by GOOS/GOARCH. Only builds whose hash is known are
// fetched: a library runs with all our rights, so one that cannot be verified is
// the user's to choose.
var platforms = map[string]platform{
	"linux/amd64": {
		pkg:       "@chdb/lib-linux-x64-gnu",
		file:      "libchdb.so",
		integrity: "XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw==",
		packed:    177_817_999,
		unpacked:  566_330_096,
	},
}

// Package names the npm package that has the library for this machine, and its SHA-512 in hex, to which it is held before it
// is used; both are empty where no build is known.
func Package() (name, sha512 string) {
	p, ok := platforms[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return "", ""
	}
	sum, err := base64.StdEncoding.DecodeString(p.integrity)
	if err != nil {
		return p.pkg, "" // it is written above: it cannot happen
	}
	return p.pkg, hex.EncodeToString(sum)
}

// threeWays ends the errors of a machine that cannot have the library.
const threeWays = "install Node.js with npm, or set CHDB_LIB_PATH to a libchdb you have, or set EARSHOT_CLICKHOUSE_DSN to a ClickHouse server"

// Library returns the absolute path of the engine library: the one cfg.Path
// names, else the cached one, else it fetches the pinned npm package with the
// user's own npm, checks its sha512 and unpacks the library into the cache. Two
// processes that fetch at once do so one after the other, and the second finds
// what the first left.
func Library(ctx context.Context, cfg LibraryConfig) (string, error) {
	if cfg.Path != "" {
		return named(cfg.Path)
	}
	p, ok := platforms[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return "", fmt.Errorf("no verified build of the ClickHouse engine library for %s/%s: set CHDB_LIB_PATH to a libchdb you have, or set EARSHOT_CLICKHOUSE_DSN to a ClickHouse server", runtime.GOOS, runtime.GOARCH)
	}
	return find(ctx, p, cfg)
}

// CachedLibrary is [Library] without the fetching: it says where the library is,
// or why it would have to be fetched first.
func CachedLibrary(cfg LibraryConfig) (string, error) {
	if cfg.Path != "" {
		return named(cfg.Path)
	}
	p, ok := platforms[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return "", fmt.Errorf("no verified build of the ClickHouse engine library for %s/%s: set CHDB_LIB_PATH to a libchdb you have, or set EARSHOT_CLICKHOUSE_DSN to a ClickHouse server", runtime.GOOS, runtime.GOARCH)
	}
	path, err := place(p, cfg)
	if err != nil {
		return "", err
	}
	if err := cached(path, cfg.Verify); err != nil {
		return "", fmt.Errorf("the engine library is not in the cache: %w; %s", err, threeWays)
	}
	return path, nil
}

// place is where the cached library of a platform is or will be.
func place(p platform, cfg LibraryConfig) (string, error) {
	if cfg.CacheDir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find the cache directory: %w; set HOME or XDG_CACHE_HOME, or %s", err, threeWays)
		}
		cfg.CacheDir = filepath.Join(cache, "earshot", "chdb")
	}
	dir, err := filepath.Abs(filepath.Join(cfg.CacheDir, Version))
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w", err)
	}
	return filepath.Join(dir, p.file), nil
}

// find returns the cached library of a platform and fetches it when it is not
// there or not whole.
func find(ctx context.Context, p platform, cfg LibraryConfig) (string, error) {
	path, err := place(p, cfg)
	if err != nil {
		return "", err
	}
	dir := filepath.Dir(path)
	if cached(path, cfg.Verify) == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("create library cache: %w; %s", err, threeWays)
	}
	unlock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return "", fmt.Errorf("lock library cache: %w", err)
	}
	defer unlock()
	if cached(path, cfg.Verify) == nil { // another process was faster
		return path, nil
	}
	if err := fetch(ctx, p, path, cfg.Progress); err != nil {
		return "", err
	}
	return path, nil
}

// named checks the copy the user chose.
func named(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("CHDB_LIB_PATH is %q: %w", path, err)
	}
	info, err := os.Stat(abs)
	if err != nil {
		return "", fmt.Errorf("CHDB_LIB_PATH: %w; unset it to have the library fetched", err)
	}
	if info.IsDir() {
		return "", fmt.Errorf("CHDB_LIB_PATH is the directory %s, must be the libchdb file itself", abs)
	}
	return abs, nil
}

// record is kept beside the cached library.
type record struct {
	Version string `json:"version"`
	Size    int64  `json:"size"`
	SHA256  string `json:"sha256"`
}

func recordPath(library string) string { return library + ".json" }

// cached reports nil when the library at path is whole: its record says this
// version and its size agrees; with hash, its contents agree too. Size alone is
// enough for every start because the file was hashed when it was written and is
// replaced by rename only.
func cached(path string, hash bool) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(recordPath(path))
	if err != nil {
		return err
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("read %s: %w", recordPath(path), err)
	}
	if r.Version != Version || r.Size != info.Size() {
		return fmt.Errorf("library %s has %d bytes, its record says version %s and %d bytes", path, info.Size(), r.Version, r.Size)
	}
	if !hash {
		return nil
	}
	sum, err := hashFile(path)
	if err != nil {
		return err
	}
	if sum != r.SHA256 {
		return fmt.Errorf("library %s does not match its recorded sha256", path)
	}
	return nil
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// lockFile waits for the lock on a file and returns how to let go. The file
// stays: removing a lock file would let two processes lock two files.
func lockFile(path string) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := waitLock(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// plainError is npm's output reduced to the lines that say what happened.
func plainError(output string) string {
	var lines []string
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.Contains(line, "complete log") && !strings.HasPrefix(line, "npm warn") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[:min(len(lines), 4)], "; ")
}
