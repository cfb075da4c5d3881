package stream_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/schemas"
)

func TestAJournalIsSwappedByOneAtATime(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	j := stream.OpenJournal(w.js, w.nc, schemas.AlertJournal)
	if doc, seq, err := j.Load(w.ctx); err != nil || doc != nil || seq != 0 {
		t.Fatalf("an empty journal: %q at %d, %v", doc, seq, err)
	}
	var won atomic.Int64
	var wg sync.WaitGroup
	for range 3 {
		rival := stream.OpenJournal(w.js, w.nc, schemas.AlertJournal)
		wg.Go(func() {
			switch _, err := rival.Swap(w.ctx, []byte(`{"a":1}`), 0, outcomes(3, 50)); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, schemas.ErrLost):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	doc, seq, err := j.Load(w.ctx)
	if err != nil || string(doc) != `{"a":1}` || won.Load() != 1 {
		t.Fatalf("%d of three rivals won; %q, %v", won.Load(), doc, err)
	}
	if n := len(w.ids(schemas.OutcomesStream, 4)); n != 3 {
		t.Errorf("%d outcomes, want the winner's 3", n)
	}
	w.restart()
	next, err := j.Swap(w.ctx, []byte(`{"a":2}`), seq, nil)
	if err != nil || next <= seq {
		t.Fatalf("after a restart of the broker: %d, %v", next, err)
	}
	if _, err := j.Swap(w.ctx, nil, next, outcomes(stream.MaxBatch, 10)); !errors.Is(err, stream.ErrRefused) {
		t.Errorf("more than a batch: %v", err)
	}
	s := w.shard(0)
	if l, err := s.Load(w.ctx); err != nil || l.Checkpoint != nil {
		t.Errorf("the shard's ledger took the journal for its own: %+v, %v", l, err)
	}
}
