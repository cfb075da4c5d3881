package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// busy is a node that is sent events all the time and looked at all the time.
type busy struct {
	*running
	t   *testing.T
	dir string

	turn    chan struct{} // a value lets the sender send: as much in every round, however slow the machine is
	end     chan struct{}
	working sync.WaitGroup

	mu    sync.Mutex
	dying atomic.Bool // the node is about to be killed: requests may fail
	sent  int         // events with numbers below are accepted, some of them several times
	looks int
	seen  map[string]bool // generations that readers saw
}

// startBusy starts a node, stores the first events and begins to send and to look.
func startBusy(t *testing.T, first int) *busy {
	dir := dataFolder(t)
	b := &busy{running: startUp(t, dir, "EARSHOT_SHARDS=2", "EARSHOT_INSIGHT_MAX_AGE=87600h"), t: t, dir: dir,
		turn: make(chan struct{}, 100), end: make(chan struct{}), seen: map[string]bool{}}
	b.send(first)
	b.counted(first)
	b.working.Go(b.sending)
	b.working.Go(b.looking)
	t.Cleanup(func() { b.quiet() })
	return b
}

// send sends that many new events, and the last ten before them again.
func (b *busy) send(n int) bool {
	code, _, err := post(b.Gateway+"/v1/events", batchType, batch(max(b.sent-10, 0), b.sent+n))
	if (err != nil || code != http.StatusAccepted) && b.dying.Load() {
		return false
	}
	if err != nil || code != http.StatusAccepted {
		b.t.Errorf("events from %d on: %d %v", b.sent, code, err)
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent += n
	return true
}

func (b *busy) sending() {
	for {
		select {
		case <-b.end:
			return
		case <-b.turn:
		}
		if !b.send(7) {
			return
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// round lets some events come in during what follows.
func (b *busy) round() {
	for range 2 {
		select {
		case b.turn <- struct{}{}:
		default:
		}
	}
}

// looking reads the view over and over: it shows one generation, no event twice, and never fewer events than before.
func (b *busy) looking() {
	before := 0
	for {
		select {
		case <-b.end:
			return
		case <-time.After(300 * time.Millisecond):
		}
		got, err := b.query("SELECT count(), uniqExact(source_event_id), uniqExact(generation), any(generation) FROM feedback_current")
		if err != nil && b.dying.Load() {
			return
		}
		if err != nil {
			b.t.Errorf("a reader was refused: %v", err)
			return
		}
		var rows, events, generations int
		var which string
		fmt.Sscan(got, &rows, &events, &generations, &which)
		if generations > 1 || rows != events || rows < before {
			b.t.Errorf("a reader saw %d rows of %d events in %d generations after it had seen %d rows", rows, events, generations, before)
			return
		}
		before = rows
		b.mu.Lock()
		b.looks++
		b.seen[which] = true
		b.mu.Unlock()
	}
}

// query asks ClickHouse directly.
func (r *running) query(sql string) (string, error) {
	resp, err := http.Post(r.Clickhouse+"/?database="+url.QueryEscape(r.Database), "text/plain", strings.NewReader(sql))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", sql, text)
	}
	return strings.TrimSpace(string(text)), err
}

// quiet ends the sending and looking and returns how many events were accepted.
func (b *busy) quiet() int {
	select {
	case <-b.end:
	default:
		close(b.end)
	}
	b.working.Wait()
	return b.sent
}

// reclassifyCmd prepares a run of 'earshot reclassify' on the folder with faults, "" for none.
func reclassifyCmd(t *testing.T, dir, faults string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := earshot(t, dir, append([]string{"reclassify"}, args...)...)
	cmd.Env = append(cmd.Env, "EARSHOT_SHARDS=2", reclassifyFaults+"="+faults)
	return cmd
}

// done runs it to a good end.
func done(t *testing.T, dir, faults string, args ...string) (r reclassified) {
	t.Helper()
	stdout, stderr, code := output(t, reclassifyCmd(t, dir, faults, append(args, "--json")...))
	if code != 0 || json.Unmarshal([]byte(stdout), &r) != nil {
		t.Fatalf("reclassify %v (%s) ended with %d: %s%s", args, faults, code, stdout, stderr)
	}
	return r
}

// counted holds the live generation against what was accepted, and reconcile against both.
func (b *busy) counted(events int) {
	b.t.Helper()
	stdout, stderr, code := output(b.t, withShards(earshot(b.t, b.dir, "reconcile", "--json", "--wait", patience.String())))
	var got balance
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 0 || !got.Exact || got.Stored != uint64(events) {
		b.t.Fatalf("reconcile (code %d) says %s%s, want %d events stored and exact", code, stdout, stderr, events)
	}
	got2, err := b.query("SELECT count(), uniqExact(source_event_id), uniqExact(generation) FROM feedback_current")
	if err != nil || got2 != fmt.Sprintf("%d\t%d\t1", events, events) {
		b.t.Fatalf("rows, events and generations in the view: %s (%v), want %d of one", got2, err, events)
	}
}

func withShards(cmd *exec.Cmd) *exec.Cmd {
	cmd.Env = append(cmd.Env, "EARSHOT_SHARDS=2")
	return cmd
}

// again starts the node again after it was killed, and the sending and looking with it. What was cut off is sent again.
func (b *busy) again() {
	b.running, b.end = startUp(b.t, b.dir, "EARSHOT_SHARDS=2", "EARSHOT_INSIGHT_MAX_AGE=87600h"), make(chan struct{})
	b.dying.Store(false)
	b.working.Go(b.sending)
	b.working.Go(b.looking)
}
