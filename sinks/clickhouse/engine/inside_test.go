package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/earshot/earshot/sinks/clickhouse/engine"
)

// More parts that need a process of their own; see parts.

// nothing is a pointer the compiler cannot know to be nil.
func nothing(args []string) *int {
	if len(args) > 100 {
		return new(int)
	}
	return nil
}

func signals(library, dir string) error {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	e, err := start(library, dir, nil)
	if err != nil {
		return err
	}
	for range 50 {
		if got := ask(e, "", "SELECT 1"); got != "200 1" {
			return errors.New(got)
		}
	}
	func() {
		defer func() { fmt.Println("recovered:", recover()) }()
		fmt.Println(*nothing(os.Args))
	}()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		return err
	}
	fmt.Println("notified:", <-term)
	if runtime.GOOS == "linux" {
		fmt.Println("threads of Go that block SIGPIPE alone:", blocking(1<<(syscall.SIGPIPE-1)))
	}
	// A write to a pipe nobody reads is an error, not the end of the process.
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	_ = r.Close()
	_, err = w.Write([]byte("x"))
	fmt.Println("broken pipe:", errors.Is(err, syscall.EPIPE))
	return e.Close(context.Background())
}

// blocking counts the threads with Go's name and a signal mask. A thread begins
// with its maker's mask, and so does a child process.
func blocking(mask uint64) int {
	name, _ := os.ReadFile("/proc/self/comm")
	tasks, _ := filepath.Glob("/proc/self/task/*")
	n := 0
	for _, task := range tasks {
		comm, _ := os.ReadFile(task + "/comm")
		status, _ := os.ReadFile(task + "/status")
		if string(comm) == string(name) && strings.Contains(string(status), fmt.Sprintf("SigBlk:\t%016x\n", mask)) {
			n++
		}
	}
	return n
}

func TestGoKeepsItsSignals(t *testing.T) {
	want := []string{"recovered: runtime error: invalid memory address or nil pointer dereference", "notified: terminated"}
	if runtime.GOOS == "linux" {
		want = append(want, "threads of Go that block SIGPIPE alone: 0")
	}
	expect(t, play(t, "signals", t.TempDir()), append(want, "broken pipe: true")...)
}

func full(library, dir string) error {
	e, err := start(library, dir, func(c *engine.Config) { c.MaxQueries = 1 })
	if err != nil {
		return err
	}
	slow := make(chan string)
	go func() {
		answer := "503 code 202"
		for answer == "503 code 202" { // until it has the one place, which the statements below ask for too
			answer = ask(e, "query_id=slow", "SELECT sleepEachRow(0.1) FROM numbers(10000) SETTINGS max_block_size = 1")
		}
		slow <- answer
	}()
	for ask(e, "", "SELECT 1") != "503 code 202" {
	}
	fmt.Println(ask(e, "", "SELECT 1"))
	for !strings.Contains(ask(e, "", "KILL QUERY WHERE query_id = 'slow' SYNC"), "finished") {
		time.Sleep(5 * time.Millisecond)
	}
	fmt.Println(<-slow)
	fmt.Println(ask(e, "", "SELECT 1"))
	return e.Close(context.Background())
}

func TestFullEngineSaysSoAndCanBeFreed(t *testing.T) {
	expect(t, play(t, "full", t.TempDir()), "503 code 202", "500 code 394", "200 1")
}

func guarded(library, dir string) error {
	e, err := start(library, dir, func(c *engine.Config) { c.User, c.Password = "analyst", "s3cret" })
	if err != nil {
		return err
	}
	send := func(change func(*http.Request)) {
		req, err := http.NewRequest(http.MethodPost, "http://"+e.Addr(), strings.NewReader("SELECT 1"))
		if err != nil {
			fmt.Println(err)
			return
		}
		change(req)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer resp.Body.Close()
		fmt.Println(resp.StatusCode, resp.Header.Get("X-ClickHouse-Exception-Code"))
	}
	send(func(r *http.Request) {})
	send(func(r *http.Request) { r.SetBasicAuth("analyst", "wrong") })
	send(func(r *http.Request) { r.SetBasicAuth("default", "s3cret") })
	send(func(r *http.Request) { r.SetBasicAuth("analyst", "s3cret") })
	send(func(r *http.Request) {
		r.Header.Set("X-ClickHouse-User", "analyst")
		r.Header.Set("X-ClickHouse-Key", "s3cret")
	})
	send(func(r *http.Request) { r.URL.RawQuery = "user=analyst&password=s3cret" })
	send(func(r *http.Request) {
		r.SetBasicAuth("analyst", "s3cret")
		r.Header.Set("Origin", "http://example.com")
	})
	return e.Close(context.Background())
}

func TestPasswordAndBrowserChecks(t *testing.T) {
	expect(t, play(t, "guarded", t.TempDir()), "403 516", "403 516", "403 516", "200 ", "200 ", "200 ", "403 ")
}

// memory reads results of 128 MB and tells how much more memory that took than
// small ones.
func memory(library, dir string) error {
	e, err := start(library, dir, nil)
	if err != nil {
		return err
	}
	read := func(format string, rows int) error {
		sql := fmt.Sprintf("SELECT repeat('x', 1000) AS s FROM numbers(%d) FORMAT %s", rows, format)
		resp, err := http.Post(e.DSN()+"/?max_block_size=8192&output_format_parallel_formatting=0", "", strings.NewReader(sql))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || n < int64(rows)*1000 {
			return fmt.Errorf("%s: %d bytes: %w", format, n, err)
		}
		return nil
	}
	for _, format := range []string{"JSONEachRow", "JSON", "Native"} {
		if err := read(format, 20_000); err != nil {
			return err
		}
		small := peak()
		if err := read(format, 128_000); err != nil {
			return err
		}
		fmt.Println(format, "held:", peak()-small > 64<<20)
	}
	return e.Close(context.Background())
}

// peak is the most memory this process has had, in bytes, where the system tells.
func peak() int64 {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		return 0
	}
	if runtime.GOOS == "linux" {
		return use.Maxrss << 10
	}
	return use.Maxrss
}

func TestLongResultsAreNotHeldInMemory(t *testing.T) {
	expect(t, play(t, "memory", t.TempDir()), "JSONEachRow held: false", "JSON held: false", "Native held: false")
}

// strange starts where somebody left settings for another ClickHouse.
func strange(library, dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "config.xml"), []byte("<clickhouse><mark_cache_size>1</mark_cache_size"), 0o644); err != nil {
		return err
	}
	if err := os.Chdir(dir); err != nil {
		return err
	}
	e, err := start(library, filepath.Join(dir, "data"), func(c *engine.Config) { c.MarkCache = 2 << 20 })
	if err != nil {
		return err
	}
	fmt.Println(ask(e, "", "SELECT value FROM system.server_settings WHERE name = 'mark_cache_size'"))
	return e.Close(context.Background())
}

func TestSettingsLeftInTheWorkingDirectoryAreNotRead(t *testing.T) {
	expect(t, play(t, "strange", t.TempDir()), "200 2097152")
}
