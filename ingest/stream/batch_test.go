package stream_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/schemas"
)

// batch makes n messages of shard 0.
func batch(n, size int) []*nats.Msg {
	out := make([]*nats.Msg, n)
	for i := range out {
		out[i] = &nats.Msg{Subject: "feedback.0.acme.review.feedback.received", Data: make([]byte, size)}
	}
	return out
}

func TestABatchIsStoredWholeOrNotAtAll(t *testing.T) {
	limit := func(f func(*jetstream.StreamConfig)) func(*world) {
		return func(w *world) {
			c := w.configs()["FEEDBACK_0"]
			f(&c)
			if _, err := w.js.UpdateStream(w.ctx, c); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		claim string
		world func(*world)
		msgs  func() []*nats.Msg
		want  error // nil: stored
	}{
		{"one message", nil, func() []*nats.Msg { return batch(1, 10) }, nil},
		{"two messages", nil, func() []*nats.Msg { return batch(2, 10) }, nil},
		{"the most there may be", nil, func() []*nats.Msg { return batch(stream.MaxBatch, 10) }, nil},
		{"none", nil, func() []*nats.Msg { return nil }, stream.ErrRefused},
		{"one too many", nil, func() []*nats.Msg { return batch(stream.MaxBatch+1, 10) }, stream.ErrRefused},
		{"one too large for the stream", nil, func() []*nats.Msg { m := batch(3, 10); m[1].Data = make([]byte, 300<<10); return m }, schemas.ErrUnavailable},
		{"the first too large for the stream", nil, func() []*nats.Msg { m := batch(3, 10); m[0].Data = make([]byte, 300<<10); return m }, stream.ErrRefused},
		{"the last too large for the stream", nil, func() []*nats.Msg { m := batch(3, 10); m[2].Data = make([]byte, 300<<10); return m }, stream.ErrRefused},
		{"one too large for the server", nil, func() []*nats.Msg { m := batch(3, 10); m[1].Data = make([]byte, 2<<20); return m }, stream.ErrRefused},
		{"a lone one too large for the server", nil, func() []*nats.Msg { return batch(1, 2<<20) }, stream.ErrRefused},
		{"the first too large for the server", nil, func() []*nats.Msg { m := batch(3, 10); m[0].Data = make([]byte, 2<<20); return m }, stream.ErrRefused},
		{"a message of another stream", nil, func() []*nats.Msg { m := batch(3, 10); m[1].Subject = "plan.0"; return m }, schemas.ErrUnavailable},
		{"no stream at all", nil, func() []*nats.Msg { m := batch(1, 10); m[0].Subject = "nowhere"; return m }, schemas.ErrUnavailable},
		{"no stream at all, many", nil, func() []*nats.Msg {
			m := batch(2, 10)
			m[0].Subject, m[1].Subject = "nowhere", "nowhere"
			return m
		}, schemas.ErrUnavailable},
		{"a stale sequence", nil, func() []*nats.Msg {
			m := batch(3, 10)
			m[2].Subject = "feedback.0.acme.review.rating.submitted"
			m[2].Header = nats.Header{"Nats-Expected-Last-Subject-Sequence": {"5"}}
			return m
		}, schemas.ErrLost},
		{"an id twice", nil, func() []*nats.Msg {
			m := batch(3, 10)
			for i := range m {
				m[i].Header = nats.Header{"Nats-Msg-Id": {"same"}}
			}
			return m
		}, stream.ErrDuplicate},
		{"a full stream", limit(func(c *jetstream.StreamConfig) { c.MaxBytes = 5000 }), func() []*nats.Msg { return batch(10, 1000) }, stream.ErrFull},
		{"a full stream, one message", limit(func(c *jetstream.StreamConfig) { c.MaxBytes = 5000 }), func() []*nats.Msg { return batch(1, 6000) }, stream.ErrFull},
		{"a stream that takes no batches", limit(func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = false }), func() []*nats.Msg { return batch(2, 10) }, stream.ErrRefused},
		{"a sealed stream", limit(func(c *jetstream.StreamConfig) { c.Sealed = true }), func() []*nats.Msg { return batch(2, 10) }, stream.ErrRefused},
	} {
		t.Run(c.claim, func(t *testing.T) {
			w := newWorld(t)
			w.provision(1)
			if c.world != nil {
				c.world(w)
			}
			msgs := c.msgs()
			seq, err := stream.PublishBatch(w.ctx, w.nc, msgs)
			if !errors.Is(err, c.want) {
				t.Fatalf("%v, wanted %v", err, c.want)
			}
			want := 0
			if err == nil {
				want = len(msgs)
			}
			if got := w.state(0); got.Messages != uint64(want) || seq != uint64(want) {
				t.Errorf("%d messages, sequence %d, wanted %d of %d", got.Messages, seq, want, len(msgs))
			}
			if errors.Is(err, stream.ErrUnknown) {
				t.Errorf("%v: its fate is known", err)
			}
		})
	}
}

// A proxy for the protocol: the answer to the commit is what decides, and without it the fate is unknown.
func TestWithoutAnAnswerTheFateIsUnknown(t *testing.T) {
	w := newWorld(t)
	nc, _ := w.connect()
	for _, c := range []struct {
		claim string
		reply string // to the commit; empty: none
	}{
		{"silence", ""},
		{"nonsense", "hello"},
		{"an empty object", "{}"},
		{"a count that does not fit", `{"stream":"X","seq":9,"batch":"b","count":2}`},
	} {
		t.Run(c.claim, func(t *testing.T) {
			sub, err := nc.Subscribe("deaf.>", func(m *nats.Msg) {
				switch {
				case m.Reply == "":
				case m.Header.Get("Nats-Batch-Commit") == "":
					m.Respond(nil)
				case c.reply != "":
					m.Respond([]byte(c.reply))
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			defer sub.Unsubscribe()
			nc.Flush()
			msgs := batch(3, 10)
			for _, m := range msgs {
				m.Subject = "deaf.x"
			}
			ctx, cancel := context.WithTimeout(w.ctx, 100*time.Millisecond)
			defer cancel()
			if _, err := stream.PublishBatch(ctx, w.nc, msgs); !errors.Is(err, stream.ErrUnknown) || !errors.Is(err, schemas.ErrUnavailable) {
				t.Errorf("%v, wanted ErrUnknown, a kind of ErrUnavailable", err)
			}
		})
	}
}

func TestAServerWithoutBatchesIsNamed(t *testing.T) {
	w := newWorld(t)
	nc, _ := w.connect()
	sub, err := nc.Subscribe("old.>", func(m *nats.Msg) { m.Respond([]byte(`{"stream":"OLD","seq":1}`)) })
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Unsubscribe()
	nc.Flush()
	msgs := batch(2, 10)
	for _, m := range msgs {
		m.Subject = "old.x"
	}
	if _, err := stream.PublishBatch(w.ctx, w.nc, msgs); !errors.Is(err, stream.ErrRefused) || !strings.Contains(err.Error(), "2.12") {
		t.Errorf("%v, wanted a word about nats-server 2.12", err)
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		claim   string
		n, size int
		want    int
	}{
		{"none", 0, 0, 0},
		{"room is left for the checkpoint", 5000, 1, stream.MaxBatch - 1},
		{"one always goes", 3, 9 << 20, 1},
		{"at most 8 MiB", 100, 1 << 20, 7},
	} {
		if got := stream.Fit(outcomes(c.n, max(c.size, 20))); got != c.want {
			t.Errorf("%s: %d, wanted %d", c.claim, got, c.want)
		}
	}
}

func TestParseDelivery(t *testing.T) {
	for _, c := range []struct {
		reply string
		ok    bool
	}{
		{"$JS.ACK.FEEDBACK_0.abc.1.77.3.1700000000000000001.12", true},
		{"$JS.ACK.hub.ACC.FEEDBACK_0.abc.1.77.3.1700000000000000001.12", true},
		{"$JS.ACK.hub.ACC.FEEDBACK_0.abc.1.77.3.1700000000000000001.12.rnd", true},
		{"$JS.ACK.FEEDBACK_0.abc.1.77.3.1700000000000000001", false},
		{"$JS.ACK.hub.FEEDBACK_0.abc.1.77.3.1700000000000000001.12", false},
		{"$JS.ACK.FEEDBACK_0.abc.1.x.3.1700000000000000001.12", false},
		{"$JS.ACK.FEEDBACK_0.abc.1.77..1700000000000000001.12", false},
		{"$JS.ACK.FEEDBACK_0.abc.1.77.3.17000000000000000010.12", false},
		{"$JS.ACK.FEEDBACK_0.abc.1.77.3.9999999999999999999.12", false},
		{"_INBOX.abc", false},
		{"", false},
		{strings.Repeat(".", 40), false},
	} {
		d, ok := stream.ParseDelivery(c.reply)
		if ok != c.ok || ok && (d.Sequence() != 77 || d.Count() != 3 || d.Nanos() != 1700000000000000001) {
			t.Errorf("%s: %+v %v", c.reply, d, ok)
		}
	}
}

// Whatever nats.go can read of such a subject, we read alike.
func FuzzParseDelivery(f *testing.F) {
	f.Add("$JS.ACK.FEEDBACK_0.abc.1.77.3.1700000000000000001.12")
	f.Add("$JS.ACK.hub.ACC.FEEDBACK_0.abc.1.77.3.1700000000000000001.12.rnd")
	f.Add("$JS.ACK.........")
	f.Fuzz(func(t *testing.T, reply string) {
		d, ok := stream.ParseDelivery(reply)
		if !ok {
			return
		}
		meta, err := (&nats.Msg{Sub: &nats.Subscription{}, Reply: reply}).Metadata()
		if err != nil {
			return // ours does not need the parts that are at fault
		}
		if meta.Sequence.Stream != d.Sequence() || meta.Sequence.Consumer != d.Count() || meta.Timestamp.UnixNano() != d.Nanos() {
			t.Errorf("%s: %+v, nats.go reads %+v", reply, d, meta)
		}
	})
}

func TestPlainSubject(t *testing.T) {
	for s, want := range map[string]bool{
		"a": true, "acme.review.feedback.received": true, "%41.b_c-d": true, "é.x": true,
		"": false, ".": false, "a.": false, ".a": false, "a..b": false, "a.*": false, "a.>": false, "a b": false, "a\r\nb": false, "a\x7f": false,
	} {
		if got := stream.PlainSubject(s); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
	if fmt.Sprint(stream.ErrUnknown) == fmt.Sprint(stream.ErrFull) {
		t.Error("two errors read alike")
	}
}
