package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/schemas"
)

// Whatever is done to the table or the ledger behind the program's back is found, and named for what it is.
func TestAuditFindsWhatSomebodyDid(t *testing.T) {
	t.Parallel()
	original := openAudited(t)
	original.story()
	for _, c := range []struct {
		claim   string
		do      func(a *audited)
		gauges  [4]float64 // missing, doubled, differing, findings
		says    string     // in the error that /readyz shows
		missing string     // sequences that --full names
	}{
		{"nothing was done", func(*audited) {}, [4]float64{}, "", ""},
		{"a row was deleted", func(a *audited) {
			a.exec("ALTER TABLE feedback DELETE WHERE seq = 17")
		}, [4]float64{1, 0, 0, 1}, "1 of 280 rows are missing", "17"},
		{"the row of an event was deleted that is in the log twice", func(a *audited) {
			a.exec("ALTER TABLE feedback DELETE WHERE seq IN (20, 21, 22)")
		}, [4]float64{3, 0, 0, 1}, "the log still has 3: sequence 20–22", "20–22"},
		{"a row was deleted lightly", func(a *audited) {
			a.exec("DELETE FROM feedback WHERE seq = 17")
		}, [4]float64{1, 0, 0, 1}, "sequence 17", "17"},
		{"a row was doubled", func(a *audited) {
			a.exec("INSERT INTO feedback SELECT * FROM feedback WHERE seq = 18")
		}, [4]float64{0, 1, 0, 1}, "1 rows are there a second time", ""},
		{"a row was deleted and another doubled, so that the count is right", func(a *audited) {
			a.exec("INSERT INTO feedback SELECT * FROM feedback WHERE seq = 18")
			a.exec("ALTER TABLE feedback DELETE WHERE seq = 17")
		}, [4]float64{1, 1, 0, 2}, "missing", "17"},
		{"a month was detached", func(a *audited) {
			a.exec("ALTER TABLE feedback DETACH PARTITION (1, 202609)")
		}, [4]float64{140, 0, 0, 2}, "140 of 280 rows", "2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40 and 120 more runs"},
		{"a duplicate was stored", func(a *audited) {
			a.exec("INSERT INTO feedback SELECT * REPLACE (281 AS seq) FROM feedback WHERE source_event_id = '21'")
		}, [4]float64{0, 0, 0, 3}, "1 rows too many", ""}, // the newest plan is not as planned, and an event is stored twice
		{"a row was written that nobody planned", func(a *audited) {
			a.exec("INSERT INTO feedback SELECT * REPLACE (301 AS seq) FROM feedback WHERE source_event_id = '21'")
		}, [4]float64{0, 0, 0, 2}, "rows up to sequence 301, but the newest plan ends at 300", ""},
		{"a row of the newest plan was changed", func(a *audited) {
			a.exec("ALTER TABLE feedback UPDATE digest = digest + 1 WHERE seq = 280")
		}, [4]float64{0, 0, 0, 1}, "the newest plan", ""},
		{"the settings that keep rows safe were taken away", func(a *audited) {
			a.exec("ALTER TABLE feedback MODIFY SETTING fsync_after_insert = 0, non_replicated_deduplication_window = 100")
			a.exec("ALTER TABLE feedback RESET SETTING min_rows_to_fsync_after_merge")
		}, [4]float64{0, 0, 0, 3}, "fsync_after_insert = 0 instead of 1", ""},
		{"the projection was dropped", func(a *audited) {
			a.exec("ALTER TABLE feedback DROP PROJECTION hourly")
		}, [4]float64{0, 0, 0, 2}, "has no projection hourly", ""},
		{"the projection went its own way", func(a *audited) { // as it does in a table that merges rows and forgets it
			a.exec("DROP TABLE feedback SYNC")
			odd := strings.NewReplacer("ENGINE = MergeTree", "ENGINE = ReplacingMergeTree", "\nSETTINGS", "\nSETTINGS deduplicate_merge_projection_mode = 'ignore',")
			for _, statement := range factStatements() {
				a.exec(odd.Replace(statement))
			}
			for range 2 {
				a.exec("INSERT INTO feedback SELECT * FROM " + a.from + ".feedback SETTINGS insert_deduplicate = 0")
			}
			a.exec("OPTIMIZE TABLE feedback FINAL")
		}, [4]float64{0, 0, 1, 1}, "1 of the projection's figures differ", ""},
		{"the ledger was lost", func(a *audited) {
			st, err := a.js.Stream(a.ctx, schemas.OutcomesStream)
			a.must(err)
			a.must(st.Purge(a.ctx))
		}, [4]float64{0, 0, 0, 1}, "the newest plan ends at 0", ""},
	} {
		t.Run(c.claim, func(t *testing.T) {
			a := original.copy(t)
			c.do(a)
			a.round(a.ctx)
			err := a.err()
			got := a.gauges()
			if got != c.gauges {
				t.Errorf("missing, doubled, differing, findings: %v, want %v: %v", got, c.gauges, err)
			}
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("the audit says %v, want %q", err, c.says)
			}
			if n := strings.Count(a.logged.String(), `"level":"error"`); n != int(a.gauges()[3]) {
				t.Errorf("%d findings, %d errors logged:\n%s", int(a.gauges()[3]), n, a.logged.String())
			}
			result := map[bool]string{true: "ok", false: "violation"}[c.says == ""]
			if n := value(a.metrics.runs.WithLabelValues(result)); n != 1 || (value(a.metrics.lastSuccess) > 0) != (c.says == "") {
				t.Errorf("%v runs counted as %s, last success %v", n, result, value(a.metrics.lastSuccess))
			}
			x, err := (&examiner{shards: a.shards, store: a.store, pick: a.pick}).full(a.ctx)
			if err != nil {
				t.Fatal(err)
			}
			if got := spans(x.Shards[0].Found.Missing); got != c.missing || x.OK != (c.says == "") {
				t.Errorf("--full finds missing %q, ok %v; want %q: %q", got, x.OK, c.missing, x.faults())
			}
		})
	}
}

// A finding is logged when it is new or its number changes, not at every look, and what is mended by the advice given is
// found mended.
func TestAuditTellsChangesOnce(t *testing.T) {
	t.Parallel()
	original := openAudited(t)
	original.story()
	a := original.copy(t)
	step := func(when string, want [4]float64, logged string) {
		t.Helper()
		a.logged.Reset()
		a.whole = time.Time{}
		a.round(a.ctx)
		if got := a.gauges(); got != want {
			t.Errorf("%s: missing, doubled, differing, findings: %v, want %v: %v", when, got, want, a.err())
		}
		if got := a.logged.String(); logged == "" && got != "" || !strings.Contains(got, logged) {
			t.Errorf("%s: logged %q, want %q", when, got, logged)
		}
	}
	step("untouched", [4]float64{}, "")
	a.exec("ALTER TABLE feedback DELETE WHERE seq = 17")
	step("one row deleted", [4]float64{1, 0, 0, 1}, "1 of 280 rows are missing")
	step("looked at again", [4]float64{1, 0, 0, 1}, "")
	a.exec("ALTER TABLE feedback DELETE WHERE seq = 18")
	step("another row deleted", [4]float64{2, 0, 0, 1}, "sequence 17–18")
	a.exec("INSERT INTO feedback SELECT * FROM " + a.from + ".feedback WHERE seq IN (17, 18)")
	step("brought back", [4]float64{}, "nothing is wrong any more")
	a.exec("ALTER TABLE feedback MODIFY SETTING fsync_part_directory = 0")
	step("a setting weakened", [4]float64{0, 0, 0, 1}, "fsync_part_directory")
	_, advice, _ := strings.Cut(a.err().Error(), "run ")
	a.exec(advice)
	step("the advice followed", [4]float64{}, "nothing is wrong any more")
	a.exec("DROP TABLE feedback SYNC")
	step("no table to look at", [4]float64{}, "audit failed")
	if err := a.err(); err == nil || value(a.metrics.runs.WithLabelValues("failed")) != 1 {
		t.Errorf("without a table the audit says %v", err)
	}
}

// When a look at everything is not due, a loss among the old rows waits for it, and one among the new is found at once.
func TestAuditLooksAtWhatIsNew(t *testing.T) {
	t.Parallel()
	a := openAudited(t)
	a.story()
	a.round(a.ctx)
	a.exec("ALTER TABLE feedback DELETE WHERE seq = 17")
	a.publish(301, 302, 303)
	a.settle()
	for _, c := range []struct {
		claim string
		do    func()
		gap   float64
		after uint64
	}{
		{"what is new is whole", func() { a.whole = time.Now().Add(time.Hour) }, 0, 300},
		{"nothing is new", func() {}, 0, 303},
		{"a new row is gone", func() {
			a.publish(304, 305)
			a.settle()
			a.exec("ALTER TABLE feedback DELETE WHERE seq = 304")
		}, 1, 303},
		{"everything is looked at", func() { a.whole = time.Time{} }, 2, 0},
	} {
		c.do()
		from := a.proven[0].Hi
		if a.whole.IsZero() {
			from = 0
		}
		a.round(a.ctx)
		if gap := a.gauges()[0]; gap != c.gap || from != c.after {
			t.Errorf("%s: %v missing behind %d, want %v behind %d", c.claim, gap, from, c.gap, c.after)
		}
	}
}

// An event whose row was lost and that is sent again is stored in its later place: nothing is to be brought in for it.
func TestAuditKnowsARowThatCameAgain(t *testing.T) {
	t.Parallel()
	a := openAudited(t)
	a.story()
	a.exec("ALTER TABLE feedback DELETE WHERE seq = 17")
	a.publish(17)
	a.settle()
	x, err := a.full(a.ctx)
	a.must(err)
	f := x.Shards[0].Found
	if len(f.Missing) != 0 || spans(f.Replaced) != "17" || f.Duplicates != 10 || f.Dead != 10 || f.Gone != 0 || x.Shards[0].Gap != 1 {
		t.Errorf("%+v, gap %d", f, x.Shards[0].Gap)
	}
	if got := strings.Join(x.faults(), "\n"); !strings.Contains(got, "1 were sent again later and stored then: sequence 17") {
		t.Errorf("it says %s", got)
	}
}

// What the log no longer holds cannot be named, but it is counted.
func TestAuditCountsWhatTheLogHasForgotten(t *testing.T) {
	t.Parallel()
	a := openAudited(t)
	a.story()
	a.exec("ALTER TABLE feedback DELETE WHERE seq IN (17, 250)")
	st, err := a.js.Stream(a.ctx, schemas.FeedbackStream(0))
	a.must(err)
	a.must(st.Purge(a.ctx, jetstream.WithPurgeSequence(101)))
	x, err := a.full(a.ctx)
	a.must(err)
	if f := x.Shards[0].Found; spans(f.Missing) != "250" || f.Gone != 1 || x.Shards[0].Gap != 2 {
		t.Errorf("%+v, gap %d", f, x.Shards[0].Gap)
	}
}

// A dead letter is proved by its letter where the event itself is well-formed, and an event that is counted as a
// duplicate and is none is found although the counts agree.
func TestAuditReadsTheLog(t *testing.T) {
	t.Parallel()
	a := openAudited(t)
	a.exec("ALTER TABLE feedback ADD CONSTRAINT refuses CHECK source_event_id != '7'")
	a.story()
	a.exec("ALTER TABLE feedback DROP CONSTRAINT refuses")
	x, err := a.full(a.ctx)
	a.must(err)
	if f := x.Shards[0].Found; !x.OK || f.Dead != 11 || f.Duplicates != 10 || len(f.Missing) != 0 {
		t.Fatalf("%+v %q", f, x.faults())
	}
	letters := func(name string) {
		st, err := a.js.Stream(a.ctx, name)
		a.must(err)
		a.must(st.Purge(a.ctx, jetstream.WithPurgeSubject("dead.>")))
	}
	letters(schemas.OutcomesStream)
	letters(schemas.DeadLettersStream)
	if x, err = a.full(a.ctx); err != nil || !x.OK || spans(x.Shards[0].Found.Missing) != "7" {
		t.Errorf("with the letters gone: %v, %q, %+v; want no fault, since there may be that one more dead letter", err, x.faults(), x.Shards[0].Found)
	}
	a.exec("ALTER TABLE feedback DELETE WHERE seq = 40")
	st, err := a.js.Stream(a.ctx, schemas.OutcomesStream)
	a.must(err)
	l, err := a.shards[0].Load(a.ctx)
	a.must(err)
	cp := *l.Checkpoint
	cp.Stored, cp.Duplicates = cp.Stored-1, cp.Duplicates+1
	a.must(st.Purge(a.ctx, jetstream.WithPurgeSubject(schemas.CheckpointSubject(0))))
	_, err = a.shards[0].Commit(a.ctx, cp, 0, nil, 0)
	a.must(err)
	if x, err = a.full(a.ctx); err != nil || x.Shards[0].Gap != 0 || !strings.Contains(strings.Join(x.faults(), ""), "1 events up to sequence 300 have no row although the ledger counts them") {
		t.Errorf("with a row counted as a duplicate: %v, %q", err, x.faults())
	}
}

// While events flow, an audit that comes at any moment finds nothing wrong.
func TestAuditRaisesNoFalseAlarm(t *testing.T) {
	t.Parallel()
	a := openAudited(t)
	stop := a.work()
	defer stop()
	published := make(chan struct{})
	go func() {
		defer close(published)
		for n := 1; n <= 1200; n += 60 {
			var numbers []int
			for i := range 60 {
				numbers = append(numbers, n+i*i%60) // some of them twice
			}
			a.publish(numbers...)
		}
	}()
	rounds := 0
	for flowing := true; flowing; rounds++ {
		select {
		case <-published:
			flowing = false
		default:
		}
		if rounds%2 == 0 {
			a.whole = time.Time{}
		} else {
			a.whole = time.Now().Add(time.Hour)
		}
		a.round(a.ctx)
		if err := a.err(); err != nil {
			t.Fatalf("round %d: %v", rounds, err)
		}
	}
	t.Logf("%d rounds beside the worker", rounds)
	_, err := waitCaughtUp(a.ctx, a.shards)
	a.must(err)
	a.whole = time.Time{}
	a.round(a.ctx)
	if ok := value(a.metrics.runs.WithLabelValues("ok")); a.err() != nil || int(ok) != rounds+1 || rounds < 3 || a.proven[0].Hi != 1200 {
		t.Errorf("%v of %d rounds found nothing wrong, the last up to %d: %v", ok, rounds+1, a.proven[0].Hi, a.err())
	}
}

func TestClockOfTheAuditor(t *testing.T) {
	for _, c := range []struct {
		claim string
		every time.Duration
		takes time.Duration
		want  []time.Duration // when a round begins, of three minutes and a half
	}{
		{"a round at the start and each minute", time.Minute, time.Second, []time.Duration{0, time.Minute, 2 * time.Minute, 3 * time.Minute}},
		{"only at the start", 0, time.Second, []time.Duration{0}},
		{"a long round is not run into", time.Minute, 90 * time.Second, []time.Duration{0, 90 * time.Second, 3 * time.Minute}},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 210*time.Second)
			defer cancel()
			began := time.Now()
			var got []time.Duration
			onTheClock(ctx, c.every, func(context.Context) {
				got = append(got, time.Since(began))
				time.Sleep(c.takes)
			})
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: rounds at %v, want %v", c.claim, got, c.want)
			}
		})
	}
}

// A node tells what it finds by itself, stays ready, and the command finds the same with and without it.
func TestAuditOfARunningNode(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	up := startUp(t, dir, "EARSHOT_AUDIT_EVERY=1s")
	if code, answer, err := post(up.Gateway+"/v1/events", batchType, batch(0, 300)); err != nil || code != http.StatusAccepted {
		t.Fatalf("%d %s %v", code, answer, err)
	}
	if b := reconciled(t, dir); !b.Exact {
		t.Fatalf("%+v", b)
	}
	if stdout, stderr, code := output(t, earshot(t, dir, "audit")); code != 0 || !strings.Contains(stdout, "nothing is wrong") {
		t.Errorf("audit of a healthy node: code %d, %s%s", code, stdout, stderr)
	}
	if code, answer, err := post(up.Clickhouse+"/?mutations_sync=2&database="+up.Database, "text/plain", []byte("ALTER TABLE feedback DELETE WHERE seq IN (3, 4, 9)")); err != nil || code != http.StatusOK {
		t.Fatalf("delete: %d %s %v", code, answer, err)
	}
	get := func(path string) (int, string) {
		resp, err := http.Get(up.Gateway + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	for {
		if _, metrics := get("/metrics"); strings.Contains(metrics, `earshot_audit_gap_rows{shard="0"} 3`) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	for {
		code, answer := get("/readyz?verbose")
		if strings.Contains(answer, "sequence 3–4, 9") && strings.Contains(answer, `"name":"audit","status":"failed"`) {
			if code != http.StatusOK {
				t.Errorf("/readyz answers %d: %s", code, answer)
			}
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	check := func(when string) {
		t.Helper()
		stdout, stderr, code := output(t, earshot(t, dir, "audit", "--full", "--json"))
		var x examination
		if err := json.Unmarshal([]byte(stdout), &x); err != nil || code != 1 || x.OK || x.Shards[0].Gap != 3 || spans(x.Shards[0].Found.Missing) != "3–4, 9" {
			t.Errorf("%s: code %d, %v, %s%s", when, code, err, stdout, stderr)
		}
	}
	check("beside the node")
	up.stop()
	check("without the node")
}

// BenchmarkAuditTick is one whole audit, and one of what is new, of a shard with a million events, a hundredth of them
// duplicates. The figures of a run are in the decision record on the auditor.
func BenchmarkAuditTick(b *testing.B) {
	const million, piece = 1_000_000, 1000
	a := openAudited(b)
	a.batch = worker.DefaultBatchRows
	began := time.Now()
	for lo := 0; lo < million; lo += piece {
		numbers := make([]int, piece)
		for i := range numbers {
			numbers[i] = lo + i + 1
			if i%100 == 99 {
				numbers[i] -= 50
			}
		}
		a.publish(numbers...)
	}
	published := time.Since(began)
	a.settle()
	b.Logf("published in %v, stored in %v", published, time.Since(began)-published)
	for _, c := range []struct {
		name  string
		whole bool
	}{{"whole", true}, {"new", false}} {
		b.Run(c.name, func(b *testing.B) {
			used := processorTime()
			for b.Loop() {
				if a.whole = time.Now().Add(time.Hour); c.whole {
					a.whole = time.Time{}
				}
				if a.round(a.ctx); a.err() != nil {
					b.Fatal(a.err())
				}
			}
			b.ReportMetric(processorTime().Sub(used).Seconds()*1000/float64(b.N), "cpu-ms/op")
		})
	}
	b.Run("full", func(b *testing.B) {
		for b.Loop() {
			if x, err := a.full(a.ctx); err != nil || !x.OK || x.Shards[0].Found.Duplicates != million/100 {
				b.Fatal(err, x.faults())
			}
		}
	})
}
