package stream_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/schemas"
)

// publish stores messages and fails the test when that fails.
func (w *world) publish(p *stream.Publisher, msgs []schemas.Message) {
	w.t.Helper()
	if err := p.Publish(w.ctx, msgs); err != nil {
		w.t.Fatal(err)
	}
}

// readTo reads from after up to and including to, holding the order, and returns what it read.
func (w *world) readTo(s *stream.Shard, after, to uint64, max, maxBytes int) []schemas.Record {
	w.t.Helper()
	var out []schemas.Record
	for after < to {
		recs, err := s.Read(w.ctx, after, max, maxBytes, time.Second, 0)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(recs) == 0 {
			w.t.Fatalf("nothing after %d, wanted up to %d", after, to)
		}
		for _, r := range recs {
			if r.Seq <= after {
				w.t.Fatalf("after %d comes %d", after, r.Seq)
			}
			after = r.Seq
		}
		out = append(out, recs...)
	}
	return out
}

func TestReadGivesTheRecordAsItWasPublished(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	begin := time.Now()
	w.publish(w.publisher(stream.PublisherConfig{Shards: 1}), messages(0, "a", 3, 40))
	for i, r := range w.readTo(w.shard(0), 0, 3, 10, 0) {
		if want := messages(0, "a", 3, 40)[i]; string(r.Data) != string(want.Data) || r.Subject != want.Subject {
			t.Errorf("record %d: %q on %s, wanted %q on %s", i, r.Data, r.Subject, want.Data, want.Subject)
		}
		if len(r.Header) != 1 || r.Header[schemas.HeaderContentType] != schemas.ContentTypeEvent {
			t.Errorf("record %d: header %v: wanted the publisher's own and nothing of the broker's", i, r.Header)
		}
		if r.Time.Before(begin) || r.Time.After(time.Now()) || r.Time.Location() != time.UTC {
			t.Errorf("record %d: time %v", i, r.Time)
		}
	}
}

func TestReadKeepsTheHeadersOfEachRecord(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	msgs := messages(0, "a", 7, 40)
	for i, h := range []map[string]string{nil, {"a": "1"}, {"a": "1"}, {"a": "2"}, {"b": "2"}, {"a": "2", "b": "2"}, {"b": "2"}} {
		msgs[i].Header = h
	}
	w.publish(w.publisher(stream.PublisherConfig{Shards: 1}), msgs)
	for i, r := range w.readTo(w.shard(0), 0, 7, 0, 0) {
		if !maps.Equal(r.Header, msgs[i].Header) {
			t.Errorf("record %d has %v, wanted %v", i, r.Header, msgs[i].Header)
		}
	}
}

func TestReadKeepsItsBounds(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	w.publish(w.publisher(stream.PublisherConfig{Shards: 1}), messages(0, "a", 1000, 1000))
	for _, c := range []struct {
		claim         string
		max, maxBytes int
		want          int
	}{
		{"at most max records", 7, 0, 7},
		{"at most maxBytes of data", 1000, 5500, 5},
		{"exactly maxBytes fit", 1000, 5000, 5},
		{"one record always, however large", 1000, 10, 1},
		{"the nearer bound counts", 3, 5000, 3},
	} {
		t.Run(c.claim, func(t *testing.T) {
			s := w.shard(0)
			var after uint64
			for round := range 4 { // the bound must not lose what it left for the next call
				recs, err := s.Read(w.ctx, after, c.max, c.maxBytes, time.Second, time.Second)
				if err != nil {
					t.Fatal(err)
				}
				if len(recs) != c.want || recs[0].Seq != after+1 {
					t.Fatalf("round %d: %d records from %d, wanted %d from %d", round, len(recs), recs[0].Seq, c.want, after+1)
				}
				after = recs[len(recs)-1].Seq
			}
		})
	}
}

func TestReadFollowsJumps(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	w.publish(w.publisher(stream.PublisherConfig{Shards: 1}), messages(0, "a", 500, 50))
	s := w.shard(0)
	for _, after := range []uint64{0, 400, 10, 10, 499, 0} {
		recs, err := s.Read(w.ctx, after, 5, 0, time.Second, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(recs) == 0 || recs[0].Seq != after+1 {
			t.Fatalf("after %d: %d records", after, len(recs))
		}
	}
	kept := s.ConsumerName()
	if recs, err := s.Read(w.ctx, 1, 5, 0, time.Second, time.Minute); err != nil || len(recs) != 5 {
		t.Fatalf("%d records, %v", len(recs), err)
	}
	if kept == s.ConsumerName() {
		t.Error("a jump was served by the same consumer")
	}
	last := s.ConsumerName()
	w.readTo(s, 6, 500, 100, 0)
	if last != s.ConsumerName() {
		t.Error("reading on made a new consumer")
	}
}

func TestReadPassesOverDeletedMessages(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	w.publish(w.publisher(stream.PublisherConfig{Shards: 1}), messages(0, "a", 20, 50))
	st, err := w.js.Stream(w.ctx, schemas.FeedbackStream(0))
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{1, 7, 8, 20} {
		if err := st.DeleteMsg(w.ctx, seq); err != nil {
			t.Fatal(err)
		}
	}
	recs := w.readTo(w.shard(0), 0, 19, 4, 0)
	if len(recs) != 16 || recs[0].Seq != 2 || recs[5].Seq != 9 {
		t.Errorf("%d records, the first at %d, the sixth at %d", len(recs), recs[0].Seq, recs[5].Seq)
	}
	if got := w.state(0); got.Last != 20 || got.Messages != 16 || got.First != 2 {
		t.Errorf("state %+v", got)
	}
}

func TestReadWaits(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	p := w.publisher(stream.PublisherConfig{Shards: 1})
	s := w.shard(0)
	for range 3 {
		recs, err := s.Read(w.ctx, 0, 10, 0, 20*time.Millisecond, time.Minute)
		if err != nil || len(recs) != 0 {
			t.Fatalf("an empty log gives %d records and %v", len(recs), err)
		}
	}
	// The linger gathers what comes after the first, and ends early when the batch is full.
	go func() {
		for i := range 10 {
			if p.Publish(w.ctx, messages(0, fmt.Sprint(i), 1, 50)) != nil {
				return
			}
		}
	}()
	recs, err := s.Read(w.ctx, 0, 10, 0, time.Minute, time.Minute)
	if err != nil || len(recs) != 10 {
		t.Fatalf("%d records and %v, wanted the ten that came one by one", len(recs), err)
	}
	ctx, cancel := context.WithTimeout(w.ctx, 20*time.Millisecond)
	defer cancel()
	if recs, err := s.Read(ctx, 10, 10, 0, time.Minute, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%d records and %v when ctx has ended", len(recs), err)
	}
}

func TestReadCarriesTheLargestRecords(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	const n = 120 // 30 MiB: several times what a pull request may bring
	w.publish(w.publisher(stream.PublisherConfig{Shards: 1}), messages(0, "big", n, schemas.MaxEventBytes))
	s := w.shard(0)
	recs := w.readTo(s, 0, n, 1000, 3<<20)
	for i, r := range recs {
		if r.Seq != uint64(i+1) || len(r.Data) != schemas.MaxEventBytes {
			t.Fatalf("record %d has sequence %d and %d bytes", i, r.Seq, len(r.Data))
		}
	}
	name := s.ConsumerName()
	w.publish(w.publisher(stream.PublisherConfig{Shards: 1}), messages(0, "small", 10, 10))
	w.readTo(s, n, n+10, 1000, 0)
	if s.ConsumerName() != name {
		t.Error("the consumer did not last")
	}
}

func TestReadComesBack(t *testing.T) {
	for _, c := range []struct {
		claim string
		harm  func(w *world, s *stream.Shard)
	}{
		{"after the consumer was deleted", func(w *world, s *stream.Shard) {
			if err := w.js.DeleteConsumer(w.ctx, schemas.FeedbackStream(0), s.ConsumerName()); err != nil {
				w.t.Fatal(err)
			}
		}},
		{"after the broker was restarted", func(w *world, _ *stream.Shard) { w.restart() }},
		{"after the connection was cut", func(w *world, _ *stream.Shard) {
			if err := w.nc.ForceReconnect(); err != nil {
				w.t.Fatal(err)
			}
		}},
	} {
		t.Run(c.claim, func(t *testing.T) {
			w := newWorld(t)
			w.provision(1)
			msgs := messages(0, "a", 20_000, 50)
			w.publish(w.publisher(stream.PublisherConfig{Shards: 1}), msgs[:10_000])
			s := w.shard(0)
			w.readTo(s, 0, 100, 100, 0) // thousands have been sent and wait in this process
			c.harm(w, s)
			_, js := w.connect()
			if _, err := js.Stream(w.ctx, schemas.FeedbackStream(0)); err != nil {
				t.Fatal(err)
			}
			for !w.nc.IsConnected() {
				time.Sleep(10 * time.Millisecond)
			}
			w.publish(w.publisher(stream.PublisherConfig{Shards: 1}), msgs[10_000:])
			recs := w.readTo(s, 100, 20_000, 3000, 0)
			if len(recs) != 19_900 {
				t.Errorf("%d records, wanted 19,900", len(recs))
			}
		})
	}
}

func TestAWaitingReadComesBackFromARestart(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	s := w.shard(0)
	read := make(chan error, 1)
	var begun atomic.Bool
	go func() {
		for {
			begun.Store(true)
			recs, err := s.Read(w.ctx, 0, 10, 0, 30*time.Second, 0)
			if err != nil && errors.Is(err, schemas.ErrUnavailable) {
				continue
			}
			if err == nil && len(recs) == 0 {
				err = errors.New("an empty answer, though there was an event")
			}
			read <- err
			return
		}
	}()
	for !begun.Load() {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond) // so that it waits for the broker rather than makes its consumer; either must do
	w.restart()
	nc, _ := w.connect()
	p, err := stream.NewPublisher(nc, stream.PublisherConfig{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	w.publish(p, messages(0, "a", 1, 10))
	if err := <-read; err != nil {
		t.Fatal(err)
	}
}

func TestReadTellsAnAbsentBrokerFromAnEmptyLog(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	s := w.shard(0)
	if _, err := s.Read(w.ctx, 0, 10, 0, 10*time.Millisecond, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.b.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.ctx, 300*time.Millisecond)
	defer cancel()
	recs, err := s.Read(ctx, 0, 10, 0, 50*time.Millisecond, 0)
	if !errors.Is(err, schemas.ErrUnavailable) {
		t.Errorf("%d records and %v, wanted ErrUnavailable", len(recs), err)
	}
}

func TestReadRefusesAnotherStream(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	w.publish(w.publisher(stream.PublisherConfig{Shards: 1}), messages(0, "a", 5, 10))
	s := w.shard(0)
	if _, err := s.Read(w.ctx, 6, 10, 0, time.Second, 0); !errors.Is(err, schemas.ErrEpoch) {
		t.Errorf("beyond the end: %v, wanted ErrEpoch", err)
	}
	w.readTo(s, 0, 5, 10, 0)
	if err := w.js.DeleteStream(w.ctx, schemas.FeedbackStream(0)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Last(w.ctx); err == nil {
		t.Error("a stream that is gone has a last sequence")
	}
	w.provision(1)
	w.publish(w.publisher(stream.PublisherConfig{Shards: 1}), messages(0, "a", 9, 10))
	if recs, err := s.Read(w.ctx, 5, 10, 0, time.Second, 0); !errors.Is(err, schemas.ErrEpoch) {
		t.Errorf("%d records and %v of a stream that was made anew, wanted ErrEpoch", len(recs), err)
	}
	if _, err := s.Last(w.ctx); !errors.Is(err, schemas.ErrEpoch) {
		t.Errorf("last: %v, wanted ErrEpoch", err)
	}
}

func TestCloseGivesTheConsumerBack(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	w.publish(w.publisher(stream.PublisherConfig{Shards: 1}), messages(0, "a", 5, 10))
	s := w.shard(0)
	for after := range uint64(5) { // each a jump
		w.readTo(s, 4-after, 5-after, 1, 0)
	}
	s.Close()
	if err := w.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	var n int
	for range 200 {
		st, err := w.js.Stream(w.ctx, schemas.FeedbackStream(0))
		if err != nil {
			t.Fatal(err)
		}
		if n = st.CachedInfo().State.Consumers; n == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d consumers are left", n)
}

// The users' wish: a consumer that never goes silent, whatever happens to the broker, and loses and repeats nothing.
func TestReadUnderLoadAndRestarts(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	nc, _ := w.connect()
	p, err := stream.NewPublisher(nc, stream.PublisherConfig{Shards: 1, CommitTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	var acked sync.Map
	var stop atomic.Bool
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			for n := 0; !stop.Load(); n++ {
				name := fmt.Sprintf("w%d.%d", i, n)
				if p.Publish(w.ctx, messages(0, name, 50, 60)) == nil {
					acked.Store(name, true)
				}
			}
		})
	}
	s := w.shard(0)
	seen := map[string]int{}
	var after uint64
	read := func(until func() bool) {
		for !until() {
			recs, err := s.Read(w.ctx, after, 2000, 0, 200*time.Millisecond, 5*time.Millisecond)
			if err != nil && !errors.Is(err, schemas.ErrUnavailable) {
				t.Fatal(err)
			}
			for _, r := range recs {
				if r.Seq != after+1 {
					t.Fatalf("after %d comes %d", after, r.Seq)
				}
				after = r.Seq
				seen[string(r.Data)]++
			}
		}
	}
	for range 3 {
		target := after + 500
		read(func() bool { return after >= target })
		restarted := make(chan struct{})
		go func() { defer close(restarted); w.restart() }()
		read(func() bool {
			select {
			case <-restarted:
				return true
			default:
				return false
			}
		})
	}
	target := after + 500
	read(func() bool { return after >= target })
	stop.Store(true)
	writers.Wait()
	last := w.state(0).Last
	read(func() bool { return after == last })
	acked.Range(func(name, _ any) bool {
		for _, m := range messages(0, name.(string), 50, 60) {
			if seen[string(m.Data)] == 0 {
				t.Errorf("%s was confirmed but is not there", m.Data)
			}
		}
		return true
	})
	if w.nc.Status() != nats.CONNECTED {
		t.Error("not connected")
	}
}
