package stream_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/schemas"
)

func TestCommitOfManyOutcomes(t *testing.T) {
	for _, c := range []struct {
		claim   string
		n, size int
		batches uint64
	}{
		{"none", 0, 0, 1},
		{"the most that fit one batch", stream.MaxBatch - 1, 50, 1},
		{"one more than fits", stream.MaxBatch, 50, 2},
		{"several batches", 2500, 50, 3},
		{"large ones, split by size", 70, 250 << 10, 3},
	} {
		t.Run(c.claim, func(t *testing.T) {
			w := newWorld(t)
			w.provision(1)
			w.unsourced()
			s := w.shard(0)
			seq, err := s.Commit(w.ctx, schemas.Checkpoint{Hi: 7, Outcomes: 99}, 0, outcomes(c.n, c.size), 0)
			if err != nil {
				t.Fatal(err)
			}
			l := load(t, w, s)
			if l.CheckpointSeq != seq || l.Checkpoint.Hi != 7 || l.Checkpoint.Outcomes != 0 {
				t.Errorf("checkpoint %+v at %d, wanted it closed at %d", l.Checkpoint, l.CheckpointSeq, seq)
			}
			if want := uint64(c.n) + c.batches; seq != want {
				t.Errorf("the last checkpoint is message %d, wanted %d: %d outcomes in %d batches", seq, want, c.n, c.batches)
			}
			for i, id := range w.ids(schemas.OutcomesStream, uint64(c.n)+1) {
				if id != fmt.Sprintf("id-%d", i) {
					t.Fatalf("outcome %d is %s", i, id)
				}
			}
		})
	}
}

func TestInsightsAndDeadLettersReachTheirStreams(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	s := w.shard(0)
	if _, err := s.Commit(w.ctx, schemas.Checkpoint{Hi: 7}, 0, outcomes(50, 50), 0); err != nil {
		t.Fatal(err)
	}
	var got []string
	got = append(got, w.ids(schemas.InsightsStream, 45)...)
	got = append(got, w.ids(schemas.DeadLettersStream, 5)...)
	seen := map[string]bool{}
	for _, id := range got {
		seen[id] = true
	}
	if len(seen) != 50 || !seen["id-9"] || got[45] != "id-9" {
		t.Errorf("%d different outcomes arrived: %v", len(seen), got)
	}
}

func TestACommitIsResumed(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	w.unsourced()
	s := w.shard(0)
	all := outcomes(2500, 50)
	// The writer dies while its second batch waits for the answer.
	ctx, die := context.WithCancel(w.ctx)
	defer die()
	batches := 0
	sub, err := w.nc.Subscribe(schemas.CheckpointSubject(0), func(*nats.Msg) {
		if batches++; batches == 2 {
			die()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err = s.Commit(ctx, schemas.Checkpoint{Hi: 9, Stored: 9}, 0, all, 0); err == nil {
		t.Fatal("the writer did not die")
	}
	sub.Unsubscribe()

	heir := w.shard(0)
	for {
		l := load(t, w, heir)
		if l.Checkpoint == nil || l.Checkpoint.Hi != 9 || l.Checkpoint.Outcomes == 0 || l.Checkpoint.Outcomes%(stream.MaxBatch-1) != 0 {
			t.Fatalf("checkpoint %+v, wanted a part of the outcomes", l.Checkpoint)
		}
		_, err := heir.Commit(w.ctx, *l.Checkpoint, l.CheckpointSeq, all, l.Checkpoint.Outcomes)
		if err == nil {
			break
		}
		if !errors.Is(err, schemas.ErrLost) { // the dead writer's batch may still come in
			t.Fatal(err)
		}
	}
	if l := load(t, w, heir); l.Checkpoint.Outcomes != 0 {
		t.Errorf("checkpoint %+v, wanted it closed", l.Checkpoint)
	}
	got := w.ids(schemas.OutcomesStream, 2501)
	for i, id := range got {
		if id != fmt.Sprintf("id-%d", i) {
			t.Fatalf("outcome %d is %s: one is missing or twice there", i, id)
		}
	}
}

func TestAWriteWhoseAnswerWasLostIsRecognised(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	s := w.shard(0)
	// No answer of the broker reaches the writer while the broker restarts; it must neither write twice nor give up what
	// it has.
	var expect uint64
	for i := range uint64(3) {
		restarted := make(chan struct{})
		go func() { defer close(restarted); w.restart() }()
		for {
			seq, err := s.Commit(w.ctx, schemas.Checkpoint{Hi: i + 1}, expect, outcomes(5, 50), 0)
			if err == nil {
				expect = seq
				break
			}
			if !errors.Is(err, schemas.ErrUnavailable) {
				t.Fatal(err)
			}
			l, err := s.Load(w.ctx)
			if err != nil {
				continue
			}
			if expect = l.CheckpointSeq; l.Checkpoint != nil && l.Checkpoint.Hi == i+1 {
				break // it had happened after all
			}
		}
		<-restarted
	}
	if n := len(w.ids(schemas.OutcomesStream, 16)); n != 15 {
		t.Errorf("%d outcomes, wanted 15", n)
	}
}

func TestCommitRefusesAnImpossibleStart(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	for _, done := range []int{-1, 3} {
		if _, err := w.shard(0).Commit(w.ctx, schemas.Checkpoint{}, 0, outcomes(2, 10), done); !errors.Is(err, stream.ErrRefused) {
			t.Errorf("done %d of 2: %v", done, err)
		}
	}
}
