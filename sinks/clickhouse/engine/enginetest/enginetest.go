// Package enginetest gives tests a real ClickHouse engine.
//
// [Start] hands a test the DSN of a database of its own; the engine behind it is
// started by the first call in a test process and shared by every later one. It
// refuses to skip: a machine that cannot have the engine fails the test.
package enginetest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/earshot/earshot/sinks/clickhouse/engine"
)

// shared is the one engine of this process, and the only state a package here
// keeps: the library allows one data directory per process and leaves threads
// behind at each close, so the tests of a process, which know nothing of each
// other, must meet somewhere.
var shared = sync.OnceValues(start)

// databases counts the databases handed out, to name the next.
var databases atomic.Uint64

// Start returns the DSN of a fresh, empty database, http://host:port/name, and
// drops the database when the test ends. Tests may run in parallel.
//
// The library is found as the program finds it, CHDB_LIB_PATH included, and
// fetched when the machine has none, with the progress on standard error.
func Start(t testing.TB) string {
	t.Helper()
	e, err := shared()
	if err != nil {
		t.Fatalf("start the test engine: %v", err)
	}
	name := fmt.Sprintf("test_%d", databases.Add(1))
	run(t, e, "CREATE DATABASE "+name)
	t.Cleanup(func() { run(t, e, "DROP DATABASE "+name+" SYNC") })
	return e.DSN() + "/" + name
}

// Library returns the path of the engine library for tests that start engines of
// their own, in processes of their own.
func Library(t testing.TB) string {
	t.Helper()
	path, err := library()
	if err != nil {
		t.Fatalf("find the engine library: %v", err)
	}
	return path
}

func library() (string, error) {
	return engine.Library(context.Background(), engine.LibraryConfig{Path: os.Getenv("CHDB_LIB_PATH"), Progress: os.Stderr})
}

func start() (*engine.Engine, error) {
	path, err := library()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "earshot-enginetest-")
	if err != nil {
		return nil, err
	}
	if err := removeAfterwards(dir); err != nil {
		return nil, err
	}
	return engine.Start(context.Background(), engine.Config{Library: path, Dir: dir, Addr: "127.0.0.1:0"})
}

// removeAfterwards removes dir when this process is gone, however it goes. No
// hook runs at the end of a package's tests without a TestMain in each, so a
// shell waits for the end of a pipe whose other end this process holds until it
// ends.
func removeAfterwards(dir string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("watch the end of the tests: %w", err)
	}
	cmd := exec.Command("/bin/sh", "-c", `read _; exec rm -rf -- "$1"`, "sh", dir)
	cmd.Stdin = r
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("watch the end of the tests: %w", err)
	}
	_ = r.Close()
	// A reference that lives as long as the process keeps the writing end open.
	go func() { _ = cmd.Wait(); _ = w.Close() }()
	return nil
}

// run executes one statement over HTTP.
func run(t testing.TB, e *engine.Engine, sql string) {
	t.Helper()
	resp, err := http.Post(e.DSN()+"/", "text/plain", strings.NewReader(sql))
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	defer resp.Body.Close()
	if said, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", sql, resp.Status, said)
	}
}
