package stream_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/schemas"
)

// outcomes makes n outcomes, every tenth a dead letter, named by their index.
func outcomes(n, size int) []schemas.Outcome {
	out := make([]schemas.Outcome, n)
	for i := range out {
		subject := schemas.InsightSubject("acme", "review", schemas.Complaint)
		if i%10 == 9 {
			subject = schemas.DeadSubject(0, schemas.ReasonParse)
		}
		data := make([]byte, size)
		copy(data, fmt.Sprintf("outcome %d ", i))
		out[i] = schemas.Outcome{Subject: subject, ID: fmt.Sprintf("id-%d", i), Header: map[string]string{"X-Test": "yes"}, Data: data}
	}
	return out
}

// unsourced removes the streams that are sourced from OUTCOMES: they sync message by message, which takes its time with
// thousands of outcomes.
func (w *world) unsourced() {
	w.t.Helper()
	for _, name := range []string{schemas.InsightsStream, schemas.DeadLettersStream} {
		if err := w.js.DeleteStream(w.ctx, name); err != nil {
			w.t.Fatal(err)
		}
	}
}

// ids reads a whole stream and returns the ids of its outcomes, in order.
func (w *world) ids(name string, wanted uint64) []string {
	w.t.Helper()
	var info *jetstream.StreamInfo
	for range 500 { // sourcing follows a moment later
		st, err := w.js.Stream(w.ctx, name)
		if err != nil {
			w.t.Fatal(err)
		}
		if info = st.CachedInfo(); info.State.Msgs >= wanted {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if info.State.Msgs != wanted {
		w.t.Fatalf("%s holds %d messages, wanted %d", name, info.State.Msgs, wanted)
	}
	c, err := w.js.OrderedConsumer(w.ctx, name, jetstream.OrderedConsumerConfig{FilterSubjects: nil})
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for n := uint64(0); n < wanted; n++ {
		m, err := c.Next(jetstream.FetchMaxWait(5 * time.Second))
		if err != nil {
			w.t.Fatal(err)
		}
		if id := m.Headers().Get(stream.HeaderOutcomeID); id != "" {
			out = append(out, id)
		}
	}
	return out
}

func load(t *testing.T, w *world, s *stream.Shard) schemas.Ledger {
	t.Helper()
	l, err := s.Load(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestTheLedgerOfANewShardIsEmpty(t *testing.T) {
	w := newWorld(t)
	w.provision(2)
	if diff := cmp.Diff(schemas.Ledger{}, load(t, w, w.shard(1))); diff != "" {
		t.Error(diff)
	}
}

func TestTheLedgerKeepsTheNewestOfEachShard(t *testing.T) {
	w := newWorld(t)
	w.provision(2)
	a, b := w.shard(0), w.shard(1)
	var want schemas.Ledger
	for i := range 5 {
		p := schemas.Plan{Epoch: a.Epoch(), Shard: 0, Generation: 1, Lo: uint64(i*10 + 1), Hi: uint64(i*10 + 10),
			Parts: []schemas.Part{{Month: 202611, Rows: 9, Digest: 1<<63 + 5}}, Dead: []uint64{4}, SHA256: "ab"}
		seq, err := a.SavePlan(w.ctx, p, want.PlanSeq)
		if err != nil {
			t.Fatal(err)
		}
		want.Plan, want.PlanSeq = &p, seq
		c := schemas.Checkpoint{Epoch: a.Epoch(), Generation: 1, Hi: p.Hi, Stored: 9, Dead: 1}
		if seq, err = a.Commit(w.ctx, c, want.CheckpointSeq, outcomes(i, 100), 0); err != nil {
			t.Fatal(err)
		}
		want.Checkpoint, want.CheckpointSeq = &c, seq
	}
	if diff := cmp.Diff(want, load(t, w, a)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(schemas.Ledger{}, load(t, w, b)); diff != "" {
		t.Error("another shard's ledger:", diff)
	}
	// Only the newest plan and checkpoint are kept, besides the 0+1+2+3+4 outcomes.
	if n := len(w.ids(schemas.OutcomesStream, 12)); n != 10 {
		t.Errorf("%d outcomes, wanted 10", n)
	}
}

func TestPlansAndCheckpointsNeverExpire(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	s := w.shard(0)
	if _, err := s.SavePlan(w.ctx, schemas.Plan{}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(w.ctx, schemas.Checkpoint{Hi: 1}, 0, outcomes(1, 20), 0); err != nil {
		t.Fatal(err)
	}
	st, err := w.js.Stream(w.ctx, schemas.OutcomesStream)
	if err != nil {
		t.Fatal(err)
	}
	cfg := st.CachedInfo().Config
	cfg.MaxAge, cfg.Duplicates = 500*time.Millisecond, 100*time.Millisecond
	if _, err := w.js.UpdateStream(w.ctx, cfg); err != nil {
		t.Fatal(err)
	}
	for range 500 { // until the insight is gone
		if st, err = w.js.Stream(w.ctx, schemas.OutcomesStream); err != nil {
			t.Fatal(err)
		}
		if st.CachedInfo().State.Msgs == 2 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if l := load(t, w, s); l.Plan == nil || l.Checkpoint == nil || st.CachedInfo().State.Msgs != 2 {
		t.Errorf("%+v with %d messages left, wanted the plan and the checkpoint alone", l, st.CachedInfo().State.Msgs)
	}
}

func TestAStaleWriterIsRefusedWhole(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	a, b := w.shard(0), w.shard(0)
	plan := schemas.Plan{Lo: 1, Hi: 10} // the very same plan: rivals compute alike
	seq, err := a.SavePlan(w.ctx, plan, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.SavePlan(w.ctx, plan, 0); !errors.Is(err, schemas.ErrLost) {
		t.Errorf("a second plan from nothing: %v, wanted ErrLost", err)
	}
	if _, err := b.SavePlan(w.ctx, plan, seq+7); !errors.Is(err, schemas.ErrLost) {
		t.Errorf("a plan from the future: %v, wanted ErrLost", err)
	}
	cp, err := a.Commit(w.ctx, schemas.Checkpoint{Hi: 10}, 0, outcomes(20, 50), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 20, 2500} {
		if _, err := b.Commit(w.ctx, schemas.Checkpoint{Hi: 10}, 0, outcomes(n, 50), 0); !errors.Is(err, schemas.ErrLost) {
			t.Errorf("a stale commit of %d outcomes: %v, wanted ErrLost", n, err)
		}
	}
	if n := len(w.ids(schemas.OutcomesStream, 22)); n != 20 {
		t.Errorf("%d outcomes, wanted the winner's 20", n)
	}
	if l := load(t, w, b); l.CheckpointSeq != cp {
		t.Errorf("the checkpoint is at %d, wanted %d", l.CheckpointSeq, cp)
	}
}

func TestRivalsTakeTurns(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	const rounds, rivals = 20, 3
	var won atomic.Int64
	var wg sync.WaitGroup
	for range rivals {
		s := w.shard(0)
		wg.Go(func() {
			for {
				l, err := s.Load(w.ctx)
				if err != nil {
					t.Error(err)
					return
				}
				var cp schemas.Checkpoint
				if l.Checkpoint != nil {
					cp = *l.Checkpoint
				}
				if cp.Hi == rounds {
					return
				}
				cp.Hi++
				switch _, err := s.Commit(w.ctx, cp, l.CheckpointSeq, outcomes(3, 50), 0); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, schemas.ErrLost):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if won.Load() != rounds {
		t.Errorf("%d commits were confirmed for %d steps", won.Load(), rounds)
	}
	if n := len(w.ids(schemas.OutcomesStream, 3*rounds+1)); n != 3*rounds {
		t.Errorf("%d outcomes, wanted %d", n, 3*rounds)
	}
}

func TestLedgerErrorsNameTheCause(t *testing.T) {
	w := newWorld(t)
	if _, err := stream.OpenShard(w.ctx, w.js, w.nc, 0); err == nil {
		t.Error("a shard was opened that nobody provisioned")
	}
	w.provision(1)
	s := w.shard(0)
	if err := w.b.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.ctx, 200*time.Millisecond)
	defer cancel()
	if _, err := s.Load(ctx); !errors.Is(err, schemas.ErrUnavailable) {
		t.Errorf("load without a broker: %v", err)
	}
	if _, err := s.SavePlan(ctx, schemas.Plan{}, 0); !errors.Is(err, schemas.ErrUnavailable) {
		t.Errorf("save without a broker: %v", err)
	}
}

func TestDeadListsTheLettersOfThisEpoch(t *testing.T) {
	w := newWorld(t)
	w.provision(2)
	s := w.shard(0)
	letter := func(shard int, epoch string, seq int) schemas.Outcome {
		return schemas.Outcome{Subject: schemas.DeadSubject(shard, schemas.ReasonSink), ID: fmt.Sprintf("%s-%d-%d", epoch, shard, seq), Data: []byte("x")}
	}
	if got, err := s.Dead(w.ctx); err != nil || len(got) != 0 {
		t.Fatalf("of an empty stream: %v, %v", got, err)
	}
	out := []schemas.Outcome{letter(1, s.Epoch(), 5), letter(0, "older", 6), {Subject: schemas.InsightSubject("t", "web", schemas.Praise), ID: "i", Data: []byte("x")}}
	for seq := range 1500 { // more than are fetched at a time
		out = append(out, letter(0, s.Epoch(), seq+1))
	}
	if _, err := s.Commit(w.ctx, schemas.Checkpoint{Epoch: s.Epoch()}, 0, out, 0); err != nil {
		t.Fatal(err)
	}
	got, err := s.Dead(w.ctx)
	if err != nil || len(got) != 1500 || !got[1] || !got[1500] {
		t.Fatalf("%d letters (%v), want 1500", len(got), err)
	}
	for { // the copies are drawn by the server in its own time
		st, err := w.js.Stream(w.ctx, schemas.DeadLettersStream)
		if err != nil {
			t.Fatal(err)
		}
		if st.CachedInfo().State.Msgs == 1502 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	st, err := w.js.Stream(w.ctx, schemas.OutcomesStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Purge(w.ctx); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Dead(w.ctx); err != nil || len(got) != 1500 {
		t.Errorf("of the copies alone: %d letters (%v), want 1500", len(got), err)
	}
}

func TestEntriesAreSwappedTogetherOrNotAtAll(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	entries := func(expect ...uint64) []schemas.Entry {
		out := make([]schemas.Entry, len(expect))
		for i := range out {
			out[i] = schemas.Entry{Subject: schemas.DispositionSubject(schemas.LetterID{Epoch: "e", Seq: uint64(i + 1)}), Expect: expect[i], Data: []byte("x")}
		}
		return out
	}
	many := make([]uint64, 500)
	if seq, err := stream.Swap(w.ctx, w.nc, entries(many...)); err != nil || seq != 500 {
		t.Fatalf("500 new subjects: %d %v, want the last at 500", seq, err)
	}
	for _, c := range []struct {
		claim string
		in    []schemas.Entry
		want  uint64
	}{
		{"expected where they are", entries(1, 2, 3), 503},
		{"one of them has moved", entries(501, 2, 503), 0},
		{"one alone has moved", entries(1), 0},
		{"as if nothing had been stored by the two before", entries(501, 502, 503), 506},
		{"one alone", entries(504), 507},
	} {
		seq, err := stream.Swap(w.ctx, w.nc, c.in)
		if seq != c.want || (c.want == 0) != errors.Is(err, schemas.ErrLost) {
			t.Errorf("%s: %d %v, want %d", c.claim, seq, err, c.want)
		}
	}
}

func TestSinceFindsTheFirstMessageOfATime(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	s, p := w.shard(0), w.publisher(stream.PublisherConfig{Shards: 1})
	long := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	since := func(when time.Time, want uint64) {
		t.Helper()
		if seq, err := s.Since(w.ctx, when); err != nil || seq != want {
			t.Errorf("since %v: %d %v, want %d", when, seq, err, want)
		}
	}
	since(long, 1)
	for range 3 {
		if err := p.Publish(w.ctx, messages(0, "m", 1, 10)); err != nil {
			t.Fatal(err)
		}
	}
	rs, err := s.Read(w.ctx, 0, 3, 0, time.Second, time.Second)
	if err != nil || len(rs) != 3 {
		t.Fatalf("%d records, %v", len(rs), err)
	}
	since(long, 1)
	since(rs[1].Time, 2)
	since(rs[2].Time.Add(time.Hour), 4)
}
