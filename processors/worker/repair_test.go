package worker_test

import (
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/audit"
	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/schemas"
)

// counting is a log that counts the plans it is given.
type counting struct {
	*stream.Shard
	plans int
}

func (c *counting) SavePlan(ctx context.Context, p schemas.Plan, expect uint64) (uint64, error) {
	c.plans++
	return c.Shard.SavePlan(ctx, p, expect)
}

// repairer opens the shard for a repair by command.
func (s *stores) repairer(change func(*worker.Config)) (*worker.Worker, *counting) {
	s.t.Helper()
	shard, err := stream.OpenShard(s.ctx, s.js, s.nc, 0)
	s.must(err)
	s.t.Cleanup(shard.Close)
	log := &counting{Shard: shard}
	cfg := worker.Config{Log: log, Store: s.store, Classifier: s.classifier, Keyer: s.keyer, Logger: zerolog.Nop()}
	if change != nil {
		change(&cfg)
	}
	return worker.New(cfg), log
}

// missing looks for what can be brought in again.
func (s *stores) missing() audit.Found {
	s.t.Helper()
	log, err := stream.OpenShard(s.ctx, s.js, s.nc, 0)
	s.must(err)
	defer log.Close()
	f, err := audit.Find(s.ctx, schemas.Range{Epoch: log.Epoch(), Generation: 1, Lo: 1, Hi: s.settled().Hi}, log, s.store)
	s.must(err)
	return f
}

// holds checks that the table has so many rows, each of another event.
func (s *stores) holds(rows uint64) {
	s.t.Helper()
	cp := s.settled()
	n, distinct, err := s.store.Count(s.ctx, 1, cp.Epoch, 0, cp.Hi)
	s.must(err)
	again, err := s.store.Repeats(s.ctx, 1)
	s.must(err)
	if n != rows || distinct != rows || again != 0 {
		s.t.Errorf("the table has %d rows of %d sequences, %d of them of an event that another row has; want %d", n, distinct, again, rows)
	}
}

// The part of one month of two is lost: every second row. They come back in one plan, however many runs of sequences they
// are, and what was sent again meanwhile, and stored then, is not stored a second time.
func TestExactAMonthAmongOthersComesBackInOnePlan(t *testing.T) {
	s := openStores(t)
	ids := names("a", 1200)
	s.publish("", ids...)
	stop := s.start(func(c *worker.Config) { c.BatchRows, c.DedupCapacity = 90, 100 }) // it asks the table about what is older
	s.want(1200, 0, 0)
	s.exec("ALTER TABLE feedback DROP PARTITION (1, 202610)")
	s.publish("", ids[1], ids[3])
	s.settled()
	s.must(stop())
	f := s.missing()
	if n := audit.Count(f.Missing); n != 598 || len(f.Missing) < 500 || audit.Count(f.Replaced) != 2 {
		t.Fatalf("%d events in %d runs are missing and %d replaced, want 598, one in each run, and 2", n, len(f.Missing), audit.Count(f.Replaced))
	}
	w, log := s.repairer(nil)
	var told uint64
	n, err := w.Repair(s.ctx, f.Missing, func(done uint64) { told = done })
	s.must(err)
	if n != 598 || told != 598 {
		t.Errorf("%d rows were brought in and %d told, want 598", n, told)
	}
	if log.plans > 2 { // one, and the note that it is over
		t.Errorf("it took %d plans for %d runs", log.plans, len(f.Missing))
	}
	s.holds(1200)
	t.Attr("exact", "part of one of two interleaved months dropped, repaired by command | 1 | 1200 | 0 | 0")
}

// Events that come in during a long repair are stored during it, not after it.
func TestExactALongRepairGivesWayToTheWorker(t *testing.T) {
	s := openStores(t)
	s.publish("", names("a", 800)...)
	s.start(func(c *worker.Config) { c.Takeover = 30 * time.Second }) // who waits for that waits in vain
	s.want(800, 0, 0)
	s.exec("ALTER TABLE feedback DROP PARTITION (1, 202610)")
	missing := s.missing().Missing
	w, log := s.repairer(func(c *worker.Config) { c.BatchRows, c.RepairTurn = 32, 500*time.Millisecond })
	reader, err := stream.OpenShard(s.ctx, s.js, s.nc, 0)
	s.must(err)
	defer reader.Close()
	var late, stored uint64 // events that came in, and how far the worker had come when the last windows were repaired
	_, err = w.Repair(s.ctx, missing, func(done uint64) {
		if late == 0 {
			s.publish("", names("late", 30)...)
			late = s.published
		}
		if l, err := reader.Load(s.ctx); err == nil && done < 400 {
			stored = l.Checkpoint.Hi
		}
	})
	s.must(err)
	if stored < late {
		t.Errorf("the worker stood at %d when the repair was about to end, want %d: it was kept from its work", stored, late)
	}
	t.Logf("%d plans", log.plans)
	s.holds(830)
	s.publish("", "b")
	s.holds(831)
}

// A repair that was cut off left its note, or its plan, in the ledger: neither the next repair nor the worker minds.
func TestExactARepairThatWasCutOffIsEndedByTheNext(t *testing.T) {
	s := openStores(t)
	s.publish("", names("a", 600)...)
	stop := s.start(nil)
	s.want(600, 0, 0)
	s.must(stop())
	s.exec("ALTER TABLE feedback DROP PARTITION (1, 202610)")
	missing := s.missing().Missing
	ctx, cut := context.WithCancel(s.ctx)
	w, _ := s.repairer(func(c *worker.Config) { c.BatchRows = 50 })
	if n, err := w.Repair(ctx, missing, func(done uint64) {
		if done > 100 {
			cut()
		}
	}); err == nil || n < 100 || n == 300 {
		t.Fatalf("%d rows and %v from a repair that was cut off", n, err)
	}
	w, _ = s.repairer(func(c *worker.Config) { c.BatchRows = 70 })
	_, err := w.Repair(s.ctx, missing, nil)
	s.must(err)
	s.holds(600)
	s.publish("", "b", "a7")
	s.start(nil)
	s.holds(601)
}
