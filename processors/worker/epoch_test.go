package worker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/schemas"
)

// The log of a shard is deleted and made again while its ledger stays: sequences begin anew and mean other events. Whatever
// is left of the ledger, the worker halts before it stores anything, and says so.
func TestExactALogMadeAnewHaltsTheWorker(t *testing.T) {
	s := openStores(t)
	s.publish("", names("a", 120)...)
	stop := s.start(nil)
	s.want(120, 0, 0)
	s.must(stop())
	s.must(s.js.DeleteStream(s.ctx, schemas.FeedbackStream(0)))
	_, err := stream.Provision(s.ctx, s.js, stream.ProvisionConfig{Shards: 1})
	s.must(err)
	s.publish("", names("b", 200)...)
	for _, c := range []struct{ claim, lost string }{
		{"plan and checkpoint are of the former log", ""},
		{"only the plan is left", schemas.CheckpointSubject(0)},
		{"only the checkpoint is left", schemas.PlanSubject(0)},
	} {
		t.Run(c.claim, func(t *testing.T) {
			st, err := s.js.Stream(s.ctx, schemas.OutcomesStream)
			s.must(err)
			if c.lost != "" {
				m, err := st.GetLastMsgForSubject(s.ctx, c.lost)
				s.must(err)
				s.purge(c.lost)
				defer func() { _, err := s.js.Publish(s.ctx, c.lost, m.Data); s.must(err) }()
			}
			log, err := stream.OpenShard(s.ctx, s.js, s.nc, 0)
			s.must(err)
			defer log.Close()
			ctx, cancel := context.WithTimeout(s.ctx, 5*time.Second)
			defer cancel()
			w, _ := s.repairer(func(cfg *worker.Config) { cfg.Log, cfg.Idle = log, 50*time.Millisecond })
			if err := w.Run(ctx); !errors.Is(err, schemas.ErrEpoch) {
				t.Errorf("it worked on the log of another epoch: %v, want %v", err, schemas.ErrEpoch)
			}
			if _, err := w.Repair(ctx, []schemas.Range{{Lo: 1, Hi: 10}}, nil); !errors.Is(err, schemas.ErrEpoch) {
				t.Errorf("a repair of it: %v, want %v", err, schemas.ErrEpoch)
			}
			var n uint64
			s.must(s.store.Value(s.ctx, "SELECT count() FROM feedback", &n))
			if n != 120 {
				t.Errorf("%d rows, want the 120 of the former log", n)
			}
		})
	}
}
