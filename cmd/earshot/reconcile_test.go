package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/schemas"
)

// The totals agree although a row was exchanged for another; the comparison by hour names both, and a dead letter that is
// gone.
func TestReconcileByHourNamesWhatTheTotalsHide(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	up := startUp(t, dir)
	for range 2 {
		if code, answer, err := post(up.Gateway+"/v1/events", batchType, batch(0, 40)); err != nil || code != http.StatusAccepted {
			t.Fatalf("%d %s %v", code, answer, err)
		}
	}
	nc, err := nats.Connect(up.Nats)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.Publish("feedback.in.t.web.feedback.received.k", []byte("broken")); err != nil {
		t.Fatal(err)
	}
	nc.Flush()
	if b := reconciled(t, dir); b != (balance{Accepted: 81, Stored: 40, Duplicates: 40, Dead: 1, Exact: true}) {
		t.Fatalf("before anything is changed: %+v", b)
	}
	stdout, stderr, code := output(t, earshot(t, dir, "reconcile", "--by-hour"))
	if code != 0 || stderr != "" || !strings.Contains(strings.Join(strings.Fields(stdout), " "), "all 81 40 40 1 0") || !strings.Contains(stdout, "support") {
		t.Errorf("as it should be: %d %s %s", code, stdout, stderr)
	}
	stdout, stderr, code = output(t, earshot(t, dir, "reconcile", "--since", "2h", "--json"))
	var h struct {
		balance
		hourlyBalance
	}
	if err := json.Unmarshal([]byte(stdout), &h); err != nil || code != 0 || !h.Exact || h.Compared != 81 || h.Differing != 0 || len(h.Hours) < 2 {
		t.Errorf("--since 2h --json: %d %v %s%s", code, err, stdout, stderr)
	}

	engineSays(t, up, "INSERT INTO feedback SELECT * FROM feedback WHERE seq = 7")
	engineSays(t, up, "DELETE FROM feedback WHERE seq = 9")
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	letters, err := js.Stream(t.Context(), schemas.DeadLettersStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := letters.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code = output(t, earshot(t, dir, "reconcile", "--since", "2h"))
	if code != 1 || !strings.Contains(stdout, "stored             40") {
		t.Errorf("after changes behind its back: %d %s", code, stdout)
	}
	for _, want := range []string{"sequence 7 (", "stored 2 times", "sequence 9 (", "it is not stored", "sequence 49 (", "sequence 81 (", "it has no dead letter"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("reconcile does not name %q:\n%s", want, stderr)
		}
	}
	if got := strings.Fields(stdout[strings.LastIndex(stdout, "all "):]); fmt.Sprint(got) != "[all 81 40 39 0 4]" {
		t.Errorf("the sum is %v, want that of 81 messages four differ", got)
	}

	// What is past the log's age is said not to be compared.
	log, err := js.Stream(t.Context(), schemas.FeedbackStream(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Purge(t.Context(), jetstream.WithPurgeSequence(50)); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, _ = output(t, earshot(t, dir, "reconcile", "--by-hour"))
	if !strings.Contains(stderr, "begins at sequence 50") || !strings.Contains(strings.Join(strings.Fields(stdout), " "), "all 32 0 31 0 1") {
		t.Errorf("with a log cut short: %s%s", stdout, stderr)
	}
	up.stop()
}
