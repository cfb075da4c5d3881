package stream_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/schemas"
)

// bodies counts what a shard's stream holds, by body.
func (w *world) bodies(shard int) map[string]int {
	w.t.Helper()
	out := map[string]int{}
	for _, r := range w.readTo(w.shard(shard), 0, w.state(shard).Last, 0, 0) {
		out[string(r.Data)]++
	}
	return out
}

func TestManyCallersAtOnce(t *testing.T) {
	w := newWorld(t)
	w.provision(2)
	reg := prometheus.NewRegistry()
	p := w.publisher(stream.PublisherConfig{Shards: 2, Registerer: reg})
	const callers, rounds = 200, 3
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for r := range rounds {
				name := fmt.Sprintf("c%d.%d", c, r)
				msgs := append(messages(0, name, 1+c%3, 60), messages(1, name, 1, 60)...)
				if err := p.Publish(w.ctx, msgs); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var sent float64
	for shard := range 2 {
		got := w.bodies(shard)
		want := 0
		for c := range callers {
			for r := range rounds {
				n := 1
				if shard == 0 {
					n = 1 + c%3
				}
				for _, m := range messages(shard, fmt.Sprintf("c%d.%d", c, r), n, 60) {
					want++
					if got[string(m.Data)] != 1 {
						t.Fatalf("%s is there %d times", m.Data, got[string(m.Data)])
					}
				}
			}
		}
		if len(got) != want {
			t.Errorf("shard %d holds %d different messages, wanted %d", shard, len(got), want)
		}
		sent += float64(want)
	}
	if n := metric(t, reg, "earshot_publish_messages_total"); n != sent {
		t.Errorf("%v messages counted, wanted %v", n, sent)
	}
	if n := metric(t, reg, "earshot_publish_batches_total"); n >= sent/2 {
		t.Errorf("%v messages went out in %v batches: they were not gathered", sent, n)
	}
	if n := metric(t, reg, "earshot_publish_queue_messages"); n != 0 {
		t.Errorf("%v messages wait", n)
	}
}

// metric sums the values of a counter or gauge over its labels.
func metric(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func TestALargeRequestIsSplitAndKeepsItsOrder(t *testing.T) {
	w := newWorld(t)
	w.provision(2)
	p := w.publisher(stream.PublisherConfig{Shards: 2, QueueMessages: 10, QueueBytes: 1000}) // an idle queue takes any size
	msgs := append(messages(0, "a", 2500, 50), messages(1, "b", 40, 250<<10)...)
	w.publish(p, msgs)
	for i, r := range w.readTo(w.shard(0), 0, 2500, 0, 0) {
		if string(r.Data) != string(msgs[i].Data) {
			t.Fatalf("message %d is %q", i, r.Data)
		}
	}
	for i, r := range w.readTo(w.shard(1), 0, 40, 0, 0) {
		if string(r.Data) != string(msgs[2500+i].Data) {
			t.Fatalf("message %d begins %q", i, r.Data[:20])
		}
	}
}

func TestNothingIsStillStored(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	if err := w.publisher(stream.PublisherConfig{Shards: 1}).Publish(w.ctx, nil); err != nil {
		t.Error(err)
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	for _, c := range []struct {
		claim string
		cfg   stream.PublisherConfig
		size  int
	}{
		{"in messages", stream.PublisherConfig{Shards: 1, QueueMessages: 100}, 10},
		{"in bytes", stream.PublisherConfig{Shards: 1, QueueBytes: 1 << 20}, 100 << 10},
	} {
		t.Run(c.claim, func(t *testing.T) {
			w := newWorld(t)
			nc, _ := w.connect()
			release := make(chan struct{})
			// A log that does not answer until it is released, so that the queue fills.
			sub, err := nc.Subscribe("feedback.0.>", func(m *nats.Msg) {
				if m.Reply == "" {
					return
				}
				<-release
				if m.Header.Get("Nats-Batch-Commit") == "" && m.Header.Get("Nats-Batch-Id") != "" {
					m.Respond(nil)
					return
				}
				n := max(1, len(m.Header.Get("Nats-Batch-Sequence")))
				seq := m.Header.Get("Nats-Batch-Sequence")
				if seq == "" {
					seq = fmt.Sprint(n)
				}
				m.Respond(fmt.Appendf(nil, `{"stream":"X","seq":1,"count":%s}`, seq))
			})
			if err != nil {
				t.Fatal(err)
			}
			defer sub.Unsubscribe()
			nc.Flush()
			c.cfg.CommitTimeout = time.Minute
			reg := prometheus.NewRegistry()
			c.cfg.Registerer = reg
			p := w.publisher(c.cfg)
			const callers = 40
			answers := make(chan error, callers)
			for i := range callers {
				go func() { answers <- p.Publish(w.ctx, messages(0, fmt.Sprint(i), 10, c.size)) }()
			}
			busy := 0
			for busy == 0 { // refusals come at once, while nothing else is answered
				if err := <-answers; errors.Is(err, schemas.ErrBusy) {
					busy++
				} else {
					t.Fatalf("%v before the log answered, wanted ErrBusy", err)
				}
			}
			close(release)
			for range callers - 1 {
				switch err := <-answers; {
				case errors.Is(err, schemas.ErrBusy):
					busy++
				case err != nil:
					t.Error(err)
				}
			}
			if busy == callers {
				t.Error("nobody was served")
			}
			if n := metric(t, reg, "earshot_publish_busy_total"); n != float64(busy) {
				t.Errorf("%v refusals counted, wanted %d", n, busy)
			}
			if err := p.Publish(w.ctx, messages(0, "later", 10, c.size)); err != nil {
				t.Errorf("after the queue has emptied: %v", err)
			}
		})
	}
}

func TestACallerMayLeave(t *testing.T) {
	w := newWorld(t)
	nc, _ := w.connect()
	sub, err := nc.Subscribe("feedback.0.>", func(m *nats.Msg) {}) // a log that never answers
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Unsubscribe()
	nc.Flush()
	p := w.publisher(stream.PublisherConfig{Shards: 1, CommitTimeout: time.Minute})
	ctx, cancel := context.WithCancel(w.ctx)
	left := make(chan error, 2)
	for range 2 {
		go func() { left <- p.Publish(ctx, messages(0, "a", 1, 10)) }()
	}
	cancel()
	for range 2 {
		if err := <-left; !errors.Is(err, context.Canceled) || !errors.Is(err, schemas.ErrUnavailable) {
			t.Errorf("%v, wanted that ctx ended", err)
		}
	}
}

func TestCloseDrains(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	reg := prometheus.NewRegistry()
	p := w.publisher(stream.PublisherConfig{Shards: 1, Registerer: reg})
	var stored, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			switch err := p.Publish(w.ctx, messages(0, fmt.Sprint(i), 2, 20)); {
			case err == nil:
				stored.Add(2)
			case errors.Is(err, schemas.ErrUnavailable):
				refused.Add(2)
			default:
				t.Error(err)
			}
		})
	}
	for stored.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := p.Close(w.ctx); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if n := w.state(0).Messages; n != uint64(stored.Load()) {
		t.Errorf("%d messages are there, %d were confirmed", n, stored.Load())
	}
	if err := p.Publish(w.ctx, messages(0, "late", 1, 20)); !errors.Is(err, schemas.ErrUnavailable) {
		t.Errorf("after the close: %v", err)
	}
	if err := p.Close(w.ctx); err != nil {
		t.Error("closing again:", err)
	}
	if n, err := testutil.GatherAndCount(reg); n != 0 || err != nil {
		t.Errorf("%d metrics are left, %v", n, err)
	}
	w.publisher(stream.PublisherConfig{Shards: 1, Registerer: reg}) // a second one may register
	if _, err := stream.NewPublisher(w.nc, stream.PublisherConfig{Shards: 1, Registerer: reg}); err == nil {
		t.Error("two publishers share one registry")
	}
}

func TestPublisherRefusesAnImpossibleConfiguration(t *testing.T) {
	w := newWorld(t)
	for _, cfg := range []stream.PublisherConfig{{}, {Shards: 1, QueueMessages: -1}, {Shards: 1, QueueBytes: -1}, {Shards: 1, CommitTimeout: -1}} {
		if _, err := stream.NewPublisher(w.nc, cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}

// What was confirmed is there, each part of a request whole, whatever happens to the broker; and a restart costs callers
// no more than a moment.
func TestConfirmedMessagesSurviveRestarts(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	p := w.publisher(stream.PublisherConfig{Shards: 1})
	var stop atomic.Bool
	var confirmed sync.Map
	var n atomic.Int64
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for r := 0; !stop.Load(); r++ {
				name := fmt.Sprintf("c%d.%d", i, r)
				switch err := p.Publish(w.ctx, messages(0, name, 1+i, 60)); {
				case err == nil:
					confirmed.Store(name, 1+i)
					n.Add(1)
				case !errors.Is(err, schemas.ErrUnavailable):
					t.Error(err)
				}
			}
		})
	}
	for range 4 {
		for target := n.Load() + 50; n.Load() < target; {
			time.Sleep(time.Millisecond)
		}
		w.restart()
	}
	for target := n.Load() + 50; n.Load() < target; {
		time.Sleep(time.Millisecond)
	}
	stop.Store(true)
	wg.Wait()
	got := w.bodies(0)
	confirmed.Range(func(name, count any) bool {
		for _, m := range messages(0, name.(string), count.(int), 60) {
			if got[string(m.Data)] != 1 {
				t.Errorf("%s was confirmed and is there %d times", m.Data, got[string(m.Data)])
			}
		}
		return true
	})
	whole := map[string]int{}
	for body := range got {
		name, _, _ := strings.Cut(body, "-")
		whole[name]++
	}
	for name, count := range whole {
		var i, r int
		fmt.Sscanf(name, "c%d.%d", &i, &r)
		if count != 1+i {
			t.Errorf("of the %d messages of %s there are %d", 1+i, name, count)
		}
	}
	if _, err := w.js.Stream(w.ctx, schemas.FeedbackStream(0)); errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Error(err)
	}
}
