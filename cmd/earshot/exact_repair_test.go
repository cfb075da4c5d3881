package main

import (
	"net/http"
	"strings"
	"testing"
)

// Rows are deleted behind the node's back, those of one month of three among them, and a node that is running gets them
// back by one command.
func TestExactAuditRepairBringsBackWhatSomebodyDeleted(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	up := startUp(t, dir, "EARSHOT_TAKEOVER=3s")
	f := newFeed(t, 1)
	monthly := func(lo, hi int) []byte { // the next event is of the next of three months
		events := make([]string, 0, hi-lo)
		for n := lo; n < hi; n++ {
			events = append(events, f.event(n))
		}
		return []byte("[" + strings.Join(events, ",") + "]")
	}
	for lo := 0; lo < 3000; lo += 500 {
		if code, body, err := post(up.Gateway+"/v1/events", batchType, monthly(lo, lo+500)); err != nil || code != http.StatusAccepted {
			t.Fatalf("batch at %d: %d %s %v", lo, code, body, err)
		}
	}
	want := balance{Accepted: 3000, Stored: 3000, Exact: true}
	if got := reconciled(t, dir); got != want {
		t.Fatalf("reconcile says %+v, want %+v", got, want)
	}
	for statement, missing := range map[string]string{"DELETE FROM feedback WHERE seq % 5 = 2": "600", "ALTER TABLE feedback DROP PARTITION (1, 202609)": "1000"} {
		if code, answer, err := post(up.Clickhouse+"/?database=earshot&mutations_sync=2", "text/plain", []byte(statement)); err != nil || code != http.StatusOK {
			t.Fatalf("%s: %d %s %v", statement, code, answer, err)
		}
		stdout, stderr, code := output(t, earshot(t, dir, "audit"))
		if code != 1 || !strings.Contains(stdout, missing+" missing") {
			t.Errorf("audit after %s ended with %d:\n%s%s", statement, code, stdout, stderr)
		}
		stdout, stderr, code = output(t, earshot(t, dir, "audit", "--repair"))
		if code != 0 || !strings.Contains(stderr, missing+" events are missing in ") || !strings.Contains(stderr, missing+" rows were brought in again") || !strings.Contains(stdout, "nothing is wrong") {
			t.Errorf("audit --repair after %s ended with %d:\n%s%s", statement, code, stdout, stderr)
		}
	}
	if code, body, err := post(up.Gateway+"/v1/events", batchType, monthly(2900, 3100)); err != nil || code != http.StatusAccepted {
		t.Fatalf("after the repair: %d %s %v", code, body, err)
	}
	want = balance{Accepted: 3200, Stored: 3100, Duplicates: 100, Exact: true}
	if got := reconciled(t, dir); got != want {
		t.Errorf("after the repair reconcile says %+v, want %+v", got, want)
	}
	t.Attr("exact", "rows deleted behind a running node, audit --repair | 2 | 3100 | 0 | 0")
	up.stop()
}
