package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// A stream is put back from a copy that is older than the ledger, and grows past it again with other messages. Its epoch and
// its length say nothing then: the shard must halt, every account must say that something is wrong, and after 'earshot
// restored' each event is stored once, those that the copy lacks included.
func TestExactWhenAnOldCopyOfTheLogIsPutBack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what, folder string
		arguments    []string // of restored, besides its name
	}{
		{"the log", "nats/jetstream/$G/streams/FEEDBACK_0", nil},
		{"log and ledger", "nats", []string{"--force"}}, // then only the table knows
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			putBack(t, c.what, c.folder, c.arguments)
		})
	}
}

func putBack(t *testing.T, what, folder string, arguments []string) {
	dir := dataFolder(t)
	log := filepath.Join(dir, filepath.FromSlash(folder))
	send := func(lo, hi int) {
		t.Helper()
		up := startUp(t, dir)
		if code, body, err := post(up.Gateway+"/v1/events", batchType, batch(lo, hi)); err != nil || code != http.StatusAccepted {
			t.Fatalf("%d %s %v", code, body, err)
		}
		up.stop()
	}
	send(0, 300)
	up := startUp(t, dir)
	nc, err := nats.Connect(up.Nats)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	// One that is a dead letter in either log.
	if _, err := nc.Request("feedback.in.t.web.feedback.received.k", []byte("no event"), 5*time.Second); err != nil {
		t.Fatal(err)
	}
	settle(t, dir)
	up.stop()
	old := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(old, os.DirFS(log)); err != nil {
		t.Fatal(err)
	}
	send(300, 700)
	if got, want := reconciled(t, dir), (balance{Accepted: 701, Stored: 700, Dead: 1, Exact: true}); got != want {
		t.Fatalf("before: %+v, want %+v", got, want)
	}
	stdout, stderr, code := output(t, earshot(t, dir, "restored"))
	if code != 1 || !strings.Contains(stderr, "nothing to do") {
		t.Errorf("a log that is the right one is taken for a new one: %d %s%s", code, stdout, stderr)
	}
	if err := os.RemoveAll(log); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(log, os.DirFS(old)); err != nil {
		t.Fatal(err)
	}
	send(700, 1200) // 801 in the log, where the ledger has dealt with 701

	up = startUp(t, dir)
	eventually(t, "the shard halts", func() bool {
		resp, err := http.Get(up.Gateway + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusServiceUnavailable
	})
	for _, account := range [][]string{{"reconcile", "--wait", "1s"}, {"reconcile", "--by-hour", "--wait", "1s"}} {
		if stdout, stderr, code := output(t, earshot(t, dir, account...)); code != 1 {
			t.Errorf("%v ended with %d:\n%s%s", account, code, stdout, stderr)
		}
	}
	if _, stderr, code := output(t, earshot(t, dir, "restored")); code != 1 || !strings.Contains(stderr, "another earshot is running") {
		t.Errorf("a log is taken for a new one under a running node: %d %s", code, stderr)
	}
	up.stop()

	if len(arguments) > 0 {
		if _, stderr, code := output(t, earshot(t, dir, "restored")); code != 1 || !strings.Contains(stderr, "--force") {
			t.Errorf("restored does not ask for --force: %d %s", code, stderr)
		}
	}
	if stdout, stderr, code := output(t, earshot(t, dir, append([]string{"restored"}, arguments...)...)); code != 0 {
		t.Fatalf("restored ended with %d: %s%s", code, stdout, stderr)
	}
	up = startUp(t, dir)
	if got, want := settle(t, dir), (balance{Accepted: 801, Stored: 500, Duplicates: 300, Dead: 1, Exact: true}); got != want {
		t.Errorf("after: %+v, want %+v", got, want)
	}
	if stdout, stderr, code := output(t, earshot(t, dir, "reconcile", "--by-hour")); code != 0 {
		t.Errorf("by hour: %d %s%s", code, stdout, stderr)
	}
	accepted := map[string]bool{}
	for _, id := range rowsIn(t, up.Clickhouse, "earshot", "source_event_id") {
		if accepted[id] {
			t.Errorf("%s is stored twice", id)
		}
		accepted[id] = true
	}
	if len(accepted) != 1200 {
		t.Errorf("%d events are stored, want 1200", len(accepted))
	}
	t.Attr("exact", "an old copy of "+what+" put back, grown past the ledger, taken as a new log | 1 | 1200 | 0 | 0")
	up.stop()
}
