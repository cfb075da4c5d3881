package stream_test

import (
	"testing"
	"time"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/schemas"
)

func TestRoundTrip(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	p := w.publisher(stream.PublisherConfig{Shards: 1})
	if err := p.Publish(w.ctx, messages(0, "a", 2500, 300)); err != nil {
		t.Fatal(err)
	}
	s := w.shard(0)
	var after uint64
	for after < 2500 {
		recs, err := s.Read(w.ctx, after, 700, 0, time.Second, 10*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range recs {
			if r.Seq != after+1 {
				t.Fatalf("after %d comes %d", after, r.Seq)
			}
			after = r.Seq
		}
	}
	seq, err := s.SavePlan(w.ctx, schemas.Plan{Lo: 1, Hi: 2500}, 0)
	if err != nil {
		t.Fatal(err)
	}
	cps, err := s.Commit(w.ctx, schemas.Checkpoint{Hi: 2500}, 0, make2(3), 0)
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Load(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if l.PlanSeq != seq || l.CheckpointSeq != cps || l.Checkpoint.Hi != 2500 {
		t.Fatalf("%+v, wanted plan %d and checkpoint %d", l, seq, cps)
	}
}

func make2(n int) []schemas.Outcome {
	out := make([]schemas.Outcome, n)
	for i := range out {
		out[i] = schemas.Outcome{Subject: "insight.acme.review.complaint", ID: "x", Data: []byte("{}")}
	}
	return out
}
