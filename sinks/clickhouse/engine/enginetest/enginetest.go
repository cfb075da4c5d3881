// Package enginetest gives tests a real ClickHouse engine.
//
// [Start] hands a test the DSN of a database of its own; the engine behind it is
// started on the first call in a test process and shared by every later one. It
// refuses to skip: a machine that cannot have the engine fails the test.
package enginetest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/earshot/earshot/sinks/clickhouse/engine"
)

// shared is the one engine of this process. It is package state because the
// library allows one data directory per process: tests, which know nothing of
// each other, can only meet here.
var shared struct {
	once   sync.Once
	engine *engine.Engine
	err    error
	mu     sync.Mutex
	next   int
}

// Start returns the DSN of a fresh, empty database, http://host:port/name. The
// database is dropped when the test ends.
//
// The library is found as the program finds it, CHDB_LIB_PATH included, and
// fetched when the machine has none, which is said on standard error.
func Start(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() { shared.engine, shared.err = start() })
	if shared.err != nil {
		t.Fatalf("start the test engine: %v", shared.err)
	}
	shared.mu.Lock()
	shared.next++
	name := fmt.Sprintf("test_%d", shared.next)
	shared.mu.Unlock()
	run(t, "CREATE DATABASE "+name)
	t.Cleanup(func() { run(t, "DROP DATABASE "+name+" SYNC") })
	return shared.engine.DSN() + "/" + name
}

// start opens an engine on a directory that goes with the process: nothing
// tells a package's tests that the last one has ended, so a small directory is
// removed at once by name and lives on until the process closes its files would
// be ideal, but the engine opens files by name; the next start sweeps instead.
func start() (*engine.Engine, error) {
	library, err := engine.Library(context.Background(), engine.LibraryConfig{Path: os.Getenv("CHDB_LIB_PATH"), Progress: os.Stderr})
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "earshot-enginetest-")
	if err != nil {
		return nil, err
	}
	return engine.Start(context.Background(), engine.Config{Library: library, Dir: dir, Addr: "127.0.0.1:0"})
}

// run executes one statement over HTTP.
func run(t testing.TB, sql string) {
	t.Helper()
	resp, err := http.Post(shared.engine.DSN()+"/", "text/plain", strings.NewReader(sql))
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s: %s: %s", sql, resp.Status, said)
	}
}
