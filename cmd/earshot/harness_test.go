package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// asMain makes the test binary behave as the earshot binary, so that stories run the program as a user does without
// building it a second time.
const asMain = "TEST_AS_EARSHOT"

// untilEOF is the value of asMain for a program that stays up: it ends with its standard input, of which the test holds
// the other end, so that it cannot outlive a test that is killed.
const untilEOF = "until-eof"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		if os.Getenv(asMain) == untilEOF {
			go func() {
				io.Copy(io.Discard, os.Stdin)
				os.Exit(3)
			}()
		}
		if as := os.Getenv(asFaulty); as != "" {
			os.Exit(runFaulty(as))
		}
		if spec := os.Getenv(reclassifyFaults); spec != "" {
			os.Exit(reclassifyFaulty(spec, os.Args[2:], os.Stdout, os.Stderr))
		}
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	// Stories wait more than they work: six at a time end sooner than one for each core.
	flag.Parse()
	if given := flag.Lookup("test.parallel"); given.Value.String() == given.DefValue && runtime.GOMAXPROCS(0) < storiesAtOnce {
		if err := given.Value.Set(strconv.Itoa(storiesAtOnce)); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// storiesAtOnce is how many stories are told beside each other where -parallel does not say otherwise.
const storiesAtOnce = 6

// earshot prepares a run of the program on a data folder, every address on a free port. Nothing is cached for named queries, which
// takes a tenth of the time, but where a test says so.
func earshot(t testing.TB, dir string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, prefix+"_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, asMain+"=1", "EARSHOT_DATA_DIR="+dir, "EARSHOT_GATEWAY_ADDR=127.0.0.1:0",
		"EARSHOT_BROKER_ADDR=127.0.0.1:0", "EARSHOT_ENGINE_ADDR=127.0.0.1:0", "EARSHOT_ENGINE_MEMORY=2048", "EARSHOT_CACHE_EVERY=0")
	return cmd
}

// tool finds a program that a test needs beside Go. Where it is missing the test is skipped, so that the tests run on a
// fresh machine; .ci/run installs it and takes a skip for a failure.
func tool(t *testing.T, program, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed: apt-get install %s", program, debianPackage)
	}
	return path
}

// output runs the program to its end and returns what it printed and its exit code.
func output(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run %v: %v", cmd.Args[1:], err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// running is a program that stays up.
type running struct {
	addresses
	t    testing.TB
	cmd  *exec.Cmd
	log  *lockedBuffer
	done chan struct{} // closed when the process has ended
}

// lockedBuffer takes a process's output while a test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startUp starts 'earshot up' and waits until it says that it is ready.
func startUp(t testing.TB, dir string, env ...string) *running {
	t.Helper()
	return start(t, dir, "up", env...)
}

// start starts a command that stays up and waits until it says that it is ready.
func start(t testing.TB, dir, command string, env ...string) *running {
	t.Helper()
	r := beginUp(t, earshot(t, dir, command), env...)
	if !r.ready() {
		t.Fatalf("%s ended before it was ready:\n%s", command, r.log)
	}
	return r
}

// beginUp starts a program that stays up. It is killed at the end of the test at the latest.
func beginUp(t testing.TB, cmd *exec.Cmd, env ...string) *running {
	t.Helper()
	cmd.Env = append(cmd.Env, append(env, asMain+"="+untilEOF)...)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, cmd: cmd, log: &lockedBuffer{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = r.log, r.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { cmd.Wait(); close(r.done) }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-r.done
		if t.Failed() {
			t.Logf("log of %v:\n%s", cmd.Args[1:], r.log)
		}
	})
	return r
}

// ready waits until the program says that it is, and learns its addresses. It is false if the program ended before that.
func (r *running) ready() bool {
	r.t.Helper()
	for {
		if line, ok := readyLine(r.log.String()); ok {
			said := struct {
				*addresses
				Dir string `json:"data_dir"`
			}{addresses: &r.addresses}
			if err := json.Unmarshal([]byte(line), &said); err != nil {
				r.t.Fatalf("the ready line is not JSON: %v\n%s", err, line)
			}
			if said.Dir != "" { // the line masks the passwords
				var err error
				if r.addresses, err = readAddresses(said.Dir); err != nil {
					r.t.Fatal(err)
				}
			}
			return true
		}
		select {
		case <-r.done:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func readyLine(log string) (string, bool) {
	for line := range strings.Lines(log) {
		if strings.Contains(line, `"message":"ready"`) && strings.HasSuffix(line, "\n") {
			return line, true
		}
	}
	return "", false
}

// stop asks the program to end and checks that it did so in good order.
func (r *running) stop() {
	r.t.Helper()
	r.cmd.Process.Signal(syscall.SIGTERM)
	<-r.done
	if code := r.cmd.ProcessState.ExitCode(); code != 0 {
		r.t.Fatalf("%v ended with code %d:\n%s", r.cmd.Args[1:], code, r.log)
	}
}

// kill ends the program as a crash would.
func (r *running) kill() {
	r.cmd.Process.Kill()
	<-r.done
}

// post sends a body and returns the status and the answer.
func post(url, contentType string, body []byte, header ...string) (int, []byte, error) {
	resp, answer, err := postFor(url, contentType, body, header...)
	if err != nil {
		return 0, nil, err
	}
	return resp.StatusCode, answer, nil
}

// postFor is post with the whole head of the response.
func postFor(url, contentType string, body []byte, header ...string) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", contentType)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp, answer, err
}

// event is a CloudEvent as an adapter would send it.
func event(id string, text string) string {
	b, _ := json.Marshal(text)
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/test/story","type":"feedback.received.v1","time":"2026-11-0%dT08:31:07Z","tenantid":"acme","data":{"channel":"support","value_text":%s,"customer_id":"c-%s"}}`,
		id, 1+len(id)%9, b, id)
}

// batch is a CloudEvents batch of the events with numbers from lo up to but not including hi.
func batch(lo, hi int) []byte {
	var b bytes.Buffer
	for i := lo; i < hi; i++ {
		b.WriteByte("[,"[min(i-lo, 1)])
		b.WriteString(event(fmt.Sprint(i), fmt.Sprintf("Parcel %d arrived crushed and nobody answered for three days.", i)))
	}
	b.WriteByte(']')
	return b.Bytes()
}

const batchType = "application/cloudevents-batch+json"

// reconciled runs 'earshot reconcile --json' on the folder.
func reconciled(t *testing.T, dir string) balance {
	t.Helper()
	stdout, stderr, code := output(t, earshot(t, dir, "reconcile", "--json", "--wait", patience.String()))
	var b balance
	if err := json.Unmarshal([]byte(stdout), &b); err != nil {
		t.Fatalf("reconcile (code %d) printed no JSON: %v\n%s%s", code, err, stdout, stderr)
	}
	if b.Exact != (code == 0) {
		t.Errorf("reconcile says exact %v and exits with %d", b.Exact, code)
	}
	return b
}

// patience is how long stories wait for what must come, on a busy machine and with the race detector: what takes longer will not come.
const patience = 5 * time.Minute

// eventually waits until something is so.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// ask runs 'earshot query' and returns the answer as tab-separated text.
func ask(t *testing.T, dir, sql string) string {
	t.Helper()
	stdout, stderr, code := output(t, earshot(t, dir, "query", "--format", "TSV", sql))
	if code != 0 {
		t.Fatalf("query %s ended with %d: %s", sql, code, stderr)
	}
	return strings.TrimSpace(stdout)
}

// dataFolder is a fresh folder with a short path; sockets and engine files do not like long ones.
func dataFolder(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "data")
}
