package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/schemas"
)

func TestDemoAddsUpAndShowsFigures(t *testing.T) {
	t.Parallel()
	cmd := earshot(t, dataFolder(t), "demo", "--once")
	stdout, stderr, code := output(t, cmd)
	if code != 0 {
		t.Fatalf("demo --once ended with %d:\n%s%s", code, stdout, stderr)
	}
	reviews, invented := strings.Count(string(sampleFeedback), "\n"), strings.Count(string(sampleShop), "\n")
	n := reviews + invented
	for _, want := range []string{
		fmt.Sprintf("%d reviews of real customers, and %d answers", reviews, invented), fmt.Sprintf("events sent %d = stored %d + duplicates 0 + dead letters 0", n, n),
		"product", "service", "image", "packaging", "aftersale", "smile", "speed", "Where to look",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the demo does not show %q", want)
		}
	}
	if t.Failed() {
		t.Log(stdout, stderr)
	}
}

func TestTenThousandEventsTwiceAreStoredOnce(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	up := startUp(t, dir)
	figures := "SELECT count(), uniqExact(event_id), sum(score), sum(element_product), countIf(polarity = 'negative') FROM feedback"
	var first string
	for round := range 2 {
		for lo := 0; lo < 10_000; lo += 500 {
			if code, body, err := post(up.Gateway+"/v1/events", batchType, batch(lo, lo+500)); err != nil || code != http.StatusAccepted {
				t.Fatalf("batch at %d: %d %s %v", lo, code, body, err)
			}
		}
		want := balance{Accepted: uint64(round+1) * 10_000, Stored: 10_000, Duplicates: uint64(round) * 10_000, Exact: true}
		if got := reconciled(t, dir); got != want {
			t.Fatalf("round %d: reconcile says %+v, want %+v", round, got, want)
		}
		if got := ask(t, dir, figures); round == 0 {
			first = got
		} else if got != first {
			t.Fatalf("the figures changed when the events were sent again: %s, were %s", got, first)
		}
	}
	up.stop()
}

// A node is killed while events flow, ten times over: soon after it is ready, or soon after its first answer. What was answered 202 must
// be there once; what was not may be.
func TestKillNineLosesNothingAndDoublesNothing(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	const rounds, size = 10, 50
	next := 0
	for round := range rounds {
		up := startUp(t, dir, "EARSHOT_INSIGHT_MAX_AGE=87600h")
		killed := make(chan struct{})
		lightFuse := sync.OnceFunc(func() {
			time.AfterFunc(time.Duration(20+round*37)*time.Millisecond, func() { up.kill(); close(killed) })
		})
		if round%2 == 0 {
			lightFuse()
		}
		for { // until the crash; the batch it hits is sent again in the next round
			if code, _, err := post(up.Gateway+"/v1/events", batchType, batch(next, next+size)); err != nil || code != http.StatusAccepted {
				break
			}
			next += size
			lightFuse()
		}
		lightFuse()
		<-killed
	}
	if next == 0 {
		t.Error("no batch got through before a crash: the kills miss what they are for")
	}
	up := startUp(t, dir, "EARSHOT_INSIGHT_MAX_AGE=87600h")
	for end := next + 10*size; next < end; next += size {
		if code, body, err := post(up.Gateway+"/v1/events", batchType, batch(next, next+size)); err != nil || code != http.StatusAccepted {
			t.Fatalf("batch at %d after the last start: %d %s %v", next, code, body, err)
		}
	}
	b := reconciled(t, dir)
	if !b.Exact || b.Stored != uint64(next) {
		t.Fatalf("after %d kills reconcile says %+v, want %d stored and exact", rounds, b, next)
	}
	if got := ask(t, dir, "SELECT count(), uniqExact(source_event_id) FROM feedback"); got != fmt.Sprintf("%d\t%d", next, next) {
		t.Fatalf("rows and distinct events: %s, want %d of each", got, next)
	}
	checkInsights(t, up.Nats, next)
	up.stop()
}

// checkInsights waits until INSIGHTS has as many messages as rows were stored, all of them complaints that want an answer:
// what the crashes took from that stream, which is not synced by itself, is copied again from OUTCOMES.
func checkInsights(t *testing.T, server string, want int) {
	t.Helper()
	nc, err := nats.Connect(server)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		st, err := js.Stream(ctx, schemas.InsightsStream)
		if err != nil {
			t.Fatal(err)
		}
		if n := st.CachedInfo().State.Msgs; n == uint64(want) {
			return
		} else if n > uint64(want) || ctx.Err() != nil {
			t.Fatalf("%d insights, want %d", n, want)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// What is taken away behind the program's back is noticed, and the numbers stay true.
func TestReconcileNoticesWhatIsGone(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	up := startUp(t, dir)
	body := "[" + event("1", "Late.") + "," + event("2", "Rude.") + "," + event("1", "Late.") + "]"
	if code, answer, err := post(up.Gateway+"/v1/events", batchType, []byte(body)); err != nil || code != http.StatusAccepted {
		t.Fatalf("%d %s %v", code, answer, err)
	}
	nc, err := nats.Connect(up.Nats)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Publish("feedback.in.t.web.feedback.received.k", []byte("broken")); err != nil {
		t.Fatal(err)
	}
	nc.Flush()
	if b := reconciled(t, dir); b != (balance{Accepted: 4, Stored: 2, Duplicates: 1, Dead: 1, Exact: true}) {
		t.Fatalf("before anything is gone: %+v", b)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	outcomes, err := js.Stream(ctx, schemas.OutcomesStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := outcomes.Purge(ctx, jetstream.WithPurgeSubject("dead.>")); err != nil {
		t.Fatal(err)
	}
	if b := reconciled(t, dir); b.Exact {
		t.Errorf("with the dead letter gone: %+v, want not exact", b)
	}
	if err := outcomes.Purge(ctx); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := output(t, earshot(t, dir, "reconcile", "--json", "--wait", "100ms"))
	if code != 1 || !strings.Contains(stdout, `"accepted":4,"stored":2`) || !strings.Contains(stderr, "the table has 2") {
		t.Errorf("with the ledger gone: code %d, %s%s; want the rows that are there and not exact", code, stdout, stderr)
	}
	up.kill()
	up = startUp(t, dir) // the worker rebuilds the ledger, and writes the dead letter again
	if b := reconciled(t, dir); b != (balance{Accepted: 4, Stored: 2, Duplicates: 1, Dead: 1, Exact: true}) {
		t.Fatalf("after the ledger was rebuilt: %+v", b)
	}
	up.stop()
}

// Rows are doubled behind the node's back. At its next start the shard halts instead of guessing, and /readyz says so.
func TestAHaltedShardIsNotReady(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	up := startUp(t, dir)
	if code, answer, err := post(up.Gateway+"/v1/events", batchType, batch(0, 10)); err != nil || code != http.StatusAccepted {
		t.Fatalf("%d %s %v", code, answer, err)
	}
	if b := reconciled(t, dir); b != (balance{Accepted: 10, Stored: 10, Exact: true}) {
		t.Fatalf("%+v", b)
	}
	if code, answer, err := post(up.Clickhouse+"/?database=earshot", "text/plain", []byte("INSERT INTO feedback SELECT * FROM feedback WHERE seq = 3")); err != nil || code != http.StatusOK {
		t.Fatalf("%d %s %v", code, answer, err)
	}
	up.kill()
	up = startUp(t, dir)
	eventually(t, "/readyz says that the shard is halted", func() bool {
		resp, err := http.Get(up.Gateway + "/readyz?verbose")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, _ := io.ReadAll(resp.Body)
		return resp.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(answer), "was committed with 10 rows")
	})
}

// A node that is killed while it starts, or while it brings the schema up to date, starts again at once.
func TestKillDuringTheStartDelaysNothing(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	for round := range 12 {
		cmd := earshot(t, dir, "up")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(150+round*70) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
	}
	up := startUp(t, dir)
	if code, answer, err := post(up.Gateway+"/v1/feedback", "text/plain", []byte("still there")); err != nil || code != http.StatusAccepted {
		t.Fatalf("%d %s %v", code, answer, err)
	}
	if b := reconciled(t, dir); b != (balance{Accepted: 1, Stored: 1, Exact: true}) {
		t.Errorf("%+v", b)
	}
	up.stop()
}

func TestRestartGoesOnAndSecondUpIsRefused(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	up := startUp(t, dir)
	if code, body, err := post(up.Gateway+"/v1/feedback", "application/json", []byte(`{"text":"The staff were kind and quick.","channel":"web","rating":5}`)); err != nil || code != http.StatusAccepted {
		t.Fatalf("feedback: %d %s %v", code, body, err)
	}
	_, stderr, code := output(t, earshot(t, dir, "up"))
	if code == 0 || !strings.Contains(stderr, "is in use") || !strings.Contains(stderr, "EARSHOT_DATA_DIR") {
		t.Errorf("a second up on the folder: code %d, %q; want a refusal that says what to do", code, stderr)
	}
	up.stop()
	if b := reconciled(t, dir); !b.Exact || b.Stored != 1 {
		t.Errorf("with no node running, reconcile says %+v, want one stored and exact", b)
	}
	up = startUp(t, dir)
	if code, body, err := post(up.Gateway+"/v1/events", "application/cloudevents+json", []byte(event("again", "It broke after a day."))); err != nil || code != http.StatusAccepted {
		t.Fatalf("event after the restart: %d %s %v", code, body, err)
	}
	if b := reconciled(t, dir); !b.Exact || b.Stored != 2 {
		t.Errorf("after the restart reconcile says %+v, want two stored and exact", b)
	}
	up.stop()
}

func TestPublishReportsBadLinesByNumber(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	up := startUp(t, dir)
	lines := []string{
		`{"text":"Lovely shop","rating":5}`,
		`{"text":`,
		event("p1", "Late again"),
		`{"text":"x","rating":9}`,
		``,
		`{"specversion":"1.0","id":"p2","source":"/s","type":"no.such.kind.v1","time":"2026-11-01T00:00:00Z","tenantid":"acme","data":{}}`,
		event("p3", "Never again"),
	}
	file := filepath.Join(t.TempDir(), "in.ndjson")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		stdout, stderr, code := output(t, earshot(t, dir, "publish", file))
		if code != 1 || !strings.Contains(stdout, "accepted 3, refused 3") {
			t.Errorf("round %d: code %d, %q; want 3 accepted and 3 refused", round, code, stdout)
		}
		for _, n := range []string{"line 2:", "line 4:", "line 6:"} {
			if !strings.Contains(stderr, n) {
				t.Errorf("round %d: %s is not reported in %q", round, n, stderr)
			}
		}
	}
	if b := reconciled(t, dir); !b.Exact || b.Stored != 3 || b.Duplicates != 3 {
		t.Errorf("after publishing the file twice: %+v, want 3 stored, 3 duplicates", b)
	}
	up.stop()
}

func TestMigrateComesBeforeTheFirstStart(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	stdout, stderr, code := output(t, earshot(t, dir, "migrate", "--dry-run"))
	if code != 0 || !strings.Contains(stdout, "CREATE TABLE") || !strings.Contains(stdout, "PROJECTION hourly") {
		t.Errorf("--dry-run on nothing: code %d, %.300s %s", code, stdout, stderr)
	}
	for _, want := range []string{"applied", "up to date (0 applied)"} {
		if stdout, stderr, code := output(t, earshot(t, dir, "migrate")); code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("migrate: code %d, %s%s; want %q", code, stdout, stderr, want)
		}
	}
	if stdout, _, code := output(t, earshot(t, dir, "migrate", "--status")); code != 0 || strings.Contains(stdout, "missing") || !strings.Contains(stdout, "feedback") {
		t.Errorf("--status: code %d, %s", code, stdout)
	}
	up := startUp(t, dir)
	if stdout, stderr, code := output(t, earshot(t, dir, "migrate", "--status")); code != 0 {
		t.Errorf("--status beside a running node: code %d, %s%s", code, stdout, stderr)
	}
	up.stop()
}
