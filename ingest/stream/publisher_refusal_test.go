package stream_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/schemas"
)

func TestAMessageAtFaultIsRefusedBeforeItHarmsOthers(t *testing.T) {
	w := newWorld(t)
	w.provision(2)
	p := w.publisher(stream.PublisherConfig{Shards: 2})
	good := messages(0, "good", 1, 20)[0]
	for claim, change := range map[string]func(*schemas.Message){
		"a shard that is not there":      func(m *schemas.Message) { m.Shard = 2 },
		"a negative shard":               func(m *schemas.Message) { m.Shard = -1 },
		"the subject of another shard":   func(m *schemas.Message) { m.Subject = "feedback.1.a.b.c" },
		"an adapter's subject":           func(m *schemas.Message) { m.Subject = "feedback.in.a.b.c.d" },
		"a wildcard":                     func(m *schemas.Message) { m.Subject = "feedback.0.*.b" },
		"an empty token":                 func(m *schemas.Message) { m.Subject = "feedback.0.a..b" },
		"a blank":                        func(m *schemas.Message) { m.Subject = "feedback.0.a b" },
		"no subject":                     func(m *schemas.Message) { m.Subject = "" },
		"too many bytes":                 func(m *schemas.Message) { m.Data = make([]byte, schemas.MaxEventBytes+1) },
		"a header of the broker's":       func(m *schemas.Message) { m.Header = map[string]string{"nats-msg-id": "x"} },
		"a header with a line break":     func(m *schemas.Message) { m.Header = map[string]string{"a": "b\r\nc: d"} },
		"a header name with a colon":     func(m *schemas.Message) { m.Header = map[string]string{"a:b": "c"} },
		"a header without a name":        func(m *schemas.Message) { m.Header = map[string]string{"": "c"} },
		"headers that are together long": func(m *schemas.Message) { m.Header = map[string]string{"a": strings.Repeat("x", 17<<10)} },
	} {
		bad := good
		change(&bad)
		if err := p.Publish(w.ctx, []schemas.Message{good, bad}); !errors.Is(err, stream.ErrRefused) || !strings.Contains(err.Error(), "message 2 of 2") {
			t.Errorf("%s: %v, wanted ErrRefused for message 2 of 2", claim, err)
		}
	}
	if n := w.state(0).Messages; n != 0 {
		t.Errorf("%d messages of refused requests were stored", n)
	}
	good.Header = map[string]string{"a": strings.Repeat("x", 15<<10)}
	good.Data = make([]byte, schemas.MaxEventBytes)
	if err := p.Publish(w.ctx, []schemas.Message{good, good}); err != nil {
		t.Errorf("the largest message allowed: %v", err)
	}
}

func TestOneCallersFaultIsNotLaidOnAnother(t *testing.T) {
	w := newWorld(t)
	w.provision(1)
	// A stream that takes less than the contract allows, which the publisher cannot know.
	c := w.configs()["FEEDBACK_0"]
	c.MaxMsgSize = 1000
	if _, err := w.js.UpdateStream(w.ctx, c); err != nil {
		t.Fatal(err)
	}
	p := w.publisher(stream.PublisherConfig{Shards: 1})
	var wg sync.WaitGroup
	var failed atomic.Int64
	const callers = 60
	for i := range callers {
		wg.Go(func() {
			size := 50
			if i == 30 {
				size = 2000
			}
			if err := p.Publish(w.ctx, messages(0, fmt.Sprint(i), 3, size)); err != nil {
				failed.Add(1)
				if i != 30 {
					t.Errorf("caller %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	if failed.Load() != 1 {
		t.Errorf("%d callers failed, wanted the one at fault", failed.Load())
	}
	if n := w.state(0).Messages; n != 3*(callers-1) {
		t.Errorf("%d messages, wanted %d", n, 3*(callers-1))
	}
}

// A refusal is remembered until the shard takes something again, and what the log would refuse anyway is not sent to it.
func TestThePublisherTellsThatTheLogRefuses(t *testing.T) {
	w := newWorld(t)
	w.provision(2)
	full := errors.New("no room here")
	var room atomic.Bool
	room.Store(true)
	p := w.publisher(stream.PublisherConfig{Shards: 2, Room: func() error {
		if room.Load() {
			return nil
		}
		return full
	}})
	limit := func(bytes int64) {
		cfg := w.configs()["FEEDBACK_0"]
		cfg.MaxBytes = bytes
		if _, err := w.js.UpdateStream(w.ctx, cfg); err != nil {
			t.Fatal(err)
		}
	}
	shard, err := stream.OpenShard(w.ctx, w.js, w.nc, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Refusing(), shard.Full(w.ctx)); err != nil {
		t.Errorf("before anything was refused: %v", err)
	}
	limit(100)
	if err := p.Publish(w.ctx, messages(0, "a", 1, 100)); !errors.Is(err, stream.ErrFull) {
		t.Fatalf("into a full stream: %v", err)
	}
	if err := p.Publish(w.ctx, messages(1, "a", 1, 100)); err != nil {
		t.Fatal(err) // the other shard's taking it says nothing about this one
	}
	for _, err := range []error{p.Refusing(), shard.Full(w.ctx)} {
		if !errors.Is(err, stream.ErrFull) || !strings.Contains(err.Error(), "0") {
			t.Errorf("after a refusal it says %v", err)
		}
	}
	limit(-1)
	if err := p.Publish(w.ctx, messages(0, "a", 1, 100)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Refusing(), shard.Full(w.ctx)); err != nil {
		t.Errorf("after it was taken: %v", err)
	}
	room.Store(false)
	if err := p.Publish(w.ctx, messages(0, "b", 1, 100)); !errors.Is(err, full) || !errors.Is(err, stream.ErrFull) {
		t.Errorf("without room: %v", err)
	}
	if n := w.state(0).Messages; n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
}

func TestALogThatTakesNoWrites(t *testing.T) {
	for _, c := range []struct {
		claim string
		harm  func(w *world)
		want  []error
		not   error
	}{
		{"there is no stream", func(w *world) { w.js.DeleteStream(w.ctx, "FEEDBACK_0") }, []error{schemas.ErrUnavailable}, stream.ErrUnknown},
		{"the stream is full", func(w *world) {
			cfg := w.configs()["FEEDBACK_0"]
			cfg.MaxBytes = 100
			w.js.UpdateStream(w.ctx, cfg)
		}, []error{schemas.ErrUnavailable, stream.ErrFull}, stream.ErrUnknown},
		{"the broker is away", func(w *world) { w.b.Close() }, []error{schemas.ErrUnavailable}, nil},
		{"the connection is closed", func(w *world) { w.nc.Close() }, []error{schemas.ErrUnavailable}, stream.ErrUnknown},
	} {
		for _, n := range []int{1, 5} {
			t.Run(fmt.Sprintf("%s, %d messages", c.claim, n), func(t *testing.T) {
				w := newWorld(t)
				w.provision(1)
				p := w.publisher(stream.PublisherConfig{Shards: 1, CommitTimeout: 200 * time.Millisecond})
				c.harm(w)
				err := p.Publish(w.ctx, messages(0, "a", n, 100))
				for _, want := range c.want {
					if !errors.Is(err, want) {
						t.Errorf("%v, wanted %v", err, want)
					}
				}
				if c.not != nil && errors.Is(err, c.not) {
					t.Errorf("%v: its fate is known", err)
				}
			})
		}
	}
}
