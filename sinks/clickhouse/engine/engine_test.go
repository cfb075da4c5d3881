package engine_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/sinks/clickhouse/engine"
	"github.com/earshot/earshot/sinks/clickhouse/engine/enginetest"
)

// What needs an engine of its own runs in a process of its own: this test binary
// again, told by the environment which part to play. A part prints what it saw.
const role = "EARSHOT_ENGINE_TEST_ROLE"

func TestMain(m *testing.M) {
	if part := parts[os.Getenv(role)]; part != nil {
		go func() { // the parent holds the other end: a part does not outlive it, however it ends
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(3)
		}()
		if err := part(os.Args[1], os.Args[2]); err != nil {
			fmt.Println("error:", err)
		}
		return
	}
	os.Exit(m.Run())
}

// play runs a part with the library and a directory and returns its lines.
func play(t *testing.T, name, dir string) []string {
	t.Helper()
	cmd, out, _ := begin(t, name, dir)
	var lines []string
	for out.Scan() {
		lines = append(lines, out.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return lines
}

// begin starts a part; closing what it returns last ends the part's input.
func begin(t testing.TB, name, dir string) (*exec.Cmd, *bufio.Scanner, io.Closer) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], enginetest.Library(t), dir)
	cmd.Env = append(os.Environ(), role+"="+name)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out), in
}

var parts = map[string]func(library, dir string) error{
	"reopen": reopen, "hold": hold, "once": once, "drain": drain, "signals": signals, "full": full, "guarded": guarded, "memory": memory, "strange": strange, "torn": torn, "damaged": damaged, "sandbox": sandbox, "judged": judged,
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func start(library, dir string, change func(*engine.Config)) (*engine.Engine, error) {
	cfg := engine.Config{Library: library, Dir: dir, Addr: "127.0.0.1:0"}
	if change != nil {
		change(&cfg)
	}
	return engine.Start(context.Background(), cfg)
}

// ask runs a statement and returns status and body in one line.
func ask(e *engine.Engine, parameters, sql string) string {
	resp, err := http.Post(e.DSN()+"/?"+parameters, "text/plain", strings.NewReader(sql))
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	text := strings.TrimSpace(string(body))
	if x := resp.Header.Get("X-ClickHouse-Exception-Code"); x != "" {
		text = "code " + x
	}
	return strings.TrimSpace(fmt.Sprint(resp.StatusCode, " ", text))
}

func reopen(library, dir string) error {
	for i := range 3 {
		e, err := start(library, filepath.Join(dir, "a"), nil)
		if err != nil {
			return err
		}
		if i == 0 {
			fmt.Println(ask(e, "", "CREATE TABLE t (n UInt32) ENGINE = MergeTree ORDER BY n"))
		}
		fmt.Println(ask(e, "", "INSERT INTO t SELECT number FROM numbers(10)"))
		fmt.Println(ask(e, "", "SELECT count() FROM t"))
		if err := errors.Join(e.Close(context.Background()), e.Close(context.Background())); err != nil {
			return err
		}
	}
	e, err := start(library, filepath.Join(dir, "b"), nil)
	if err != nil {
		return err
	}
	fmt.Println(ask(e, "", "SELECT count() FROM t"))
	return e.Close(context.Background())
}

func TestDataSurvivesCloseAndReopenAndDirectoriesAreApart(t *testing.T) {
	dir := t.TempDir()
	expect(t, play(t, "reopen", dir), "200", "200", "200 10", "200", "200 20", "200", "200 30", "404 code 60")
	expect(t, play(t, "reopen", dir), "500 code 57", "200", "200 40", "200", "200 50", "200", "200 60", "404 code 60")
}

func hold(library, dir string) error {
	if err := once(library, dir); err != nil {
		return err
	}
	e, err := start(library, dir, nil)
	if err != nil {
		return err
	}
	fmt.Println("held")
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, e.Close(context.Background()))
}

func once(library, dir string) error {
	e, err := start(library, dir, nil)
	if err != nil {
		return err
	}
	fmt.Println("open")
	return e.Close(context.Background())
}

func TestDirectoryIsOneProcesss(t *testing.T) {
	dir := t.TempDir()
	cmd, out, _ := begin(t, "hold", dir)
	for out.Text() != "held" {
		if !out.Scan() {
			t.Fatalf("the first process did not hold the directory: %q", out.Text())
		}
	}
	second := strings.Join(play(t, "once", dir), "\n")
	for _, want := range []string{"error:", dir, "open in another process", fmt.Sprint(cmd.Process.Pid), "stop it"} {
		if !strings.Contains(second, want) {
			t.Errorf("the second process said %q, without %q", second, want)
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	expect(t, play(t, "once", dir), "open")
}

func TestProcessHasOneDirectoryAtATime(t *testing.T) {
	dsn := enginetest.Start(t)
	e, err := start(enginetest.Library(t), t.TempDir(), nil)
	if err == nil {
		_ = e.Close(context.Background())
		t.Fatal("two directories open at once")
	}
	if !strings.Contains(err.Error(), "one directory at a time") {
		t.Errorf("got %v", err)
	}
	if resp, err := http.Get(dsn[:strings.LastIndexByte(dsn, '/')] + "/ping"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("the first engine does not answer: %v", err)
	}
}

func TestStartNamesEveryFault(t *testing.T) {
	_, err := engine.Start(t.Context(), engine.Config{
		Library: "libchdb.so", Dir: "relative", MaxMemory: 1, MarkCache: 1, MergeThreads: -1, MaxQueries: 5000,
	})
	if err == nil {
		t.Fatal("started")
	}
	for _, want := range []string{"Library is \"libchdb.so\"", "Dir is \"relative\", must be an absolute path", "MaxMemory is 1", "MarkCache is 1", "MergeThreads is -1", "MaxQueries is 5000"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: does not say %q", err, want)
		}
	}
}

func TestStartSaysWhyItCannot(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	notLibrary := filepath.Join(t.TempDir(), "libchdb.so")
	if err := os.WriteFile(notLibrary, []byte("not a library"), 0o644); err != nil {
		t.Fatal(err)
	}
	for claim, c := range map[string]struct {
		cfg  engine.Config
		want string
	}{
		"a library that is none":     {engine.Config{Library: notLibrary, Dir: t.TempDir()}, "CHDB_LIB_PATH"},
		"a directory that is a file": {engine.Config{Library: notLibrary, Dir: notLibrary}, "create engine directory"},
	} {
		t.Run(claim, func(t *testing.T) {
			_, err := engine.Start(t.Context(), c.cfg)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

func drain(library, dir string) error {
	e, err := start(library, dir, nil)
	if err != nil {
		return err
	}
	fmt.Println(ask(e, "", "CREATE TABLE t (n UInt32) ENGINE = MergeTree ORDER BY n"))
	quick := make(chan string)
	go func() {
		quick <- ask(e, "query_id=quick", "INSERT INTO t SELECT number + sleepEachRow(0.1) FROM numbers(3)")
	}()
	for ask(e, "", "SELECT count() FROM system.processes WHERE query_id = 'quick'") != "200 1" {
		time.Sleep(5 * time.Millisecond)
	}
	err = e.Close(context.Background())
	fmt.Println("drained", <-quick, err)

	if e, err = start(library, dir, nil); err != nil {
		return err
	}
	fmt.Println(ask(e, "", "SELECT count() FROM t"))
	slow := make(chan string)
	go func() {
		slow <- ask(e, "query_id=slow", "INSERT INTO t SELECT number + sleepEachRow(0.1) FROM numbers(10000) SETTINGS max_block_size = 1")
	}()
	for ask(e, "", "SELECT count() FROM system.processes WHERE query_id = 'slow'") != "200 1" {
		time.Sleep(5 * time.Millisecond)
	}
	soon, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	err = e.Close(soon)
	<-slow
	fmt.Println("cancelled", errors.Is(err, context.DeadlineExceeded), errors.Is(e.Close(context.Background()), context.DeadlineExceeded))

	if e, err = start(library, dir, nil); err != nil {
		return err
	}
	fmt.Println(ask(e, "", "SELECT count() FROM t"))
	return e.Close(context.Background())
}

func TestCloseDrainsThenCancels(t *testing.T) {
	expect(t, play(t, "drain", t.TempDir()), "200", "drained 200 <nil>", "200 3", "cancelled true true", "200 3")
}
