package stream_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/broker"
	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/schemas"
)

// world is a real broker with a connection.
type world struct {
	t   testing.TB
	ctx context.Context
	dir string
	b   *broker.Broker
	nc  *nats.Conn
	js  jetstream.JetStream
}

// newWorld starts a broker of the test's own. Tests run side by side, since most of their time is spent waiting for a disk.
func newWorld(t testing.TB) *world {
	t.Helper()
	if p, ok := t.(*testing.T); ok {
		p.Parallel()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, dir: t.TempDir()}
	w.start("127.0.0.1:0")
	t.Cleanup(func() { w.b.Close() })
	w.nc, w.js = w.connect()
	return w
}

func (w *world) start(addr string) {
	w.t.Helper()
	b, err := broker.Start(w.ctx, broker.Config{Dir: w.dir, Addr: addr, Shards: 1, Logger: zerolog.Nop()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.b = b
}

// restart stops the broker and starts it on the same directory and port.
func (w *world) restart() {
	w.t.Helper()
	addr := w.b.URL()[len("nats://"):]
	if err := w.b.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.start(addr)
}

func (w *world) connect() (*nats.Conn, jetstream.JetStream) {
	w.t.Helper()
	nc, js, err := stream.Connect(w.b.URL(), "test", zerolog.Nop())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(nc.Close)
	return nc, js
}

func (w *world) provision(shards int) *stream.Topology {
	w.t.Helper()
	top, err := stream.Provision(w.ctx, w.js, stream.ProvisionConfig{Shards: shards})
	if err != nil {
		w.t.Fatal(err)
	}
	return top
}

func (w *world) publisher(cfg stream.PublisherConfig) *stream.Publisher {
	w.t.Helper()
	p, err := stream.NewPublisher(w.nc, cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		p.Close(ctx)
	})
	return p
}

func (w *world) shard(i int) *stream.Shard {
	w.t.Helper()
	s, err := stream.OpenShard(w.ctx, w.js, w.nc, i)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(s.Close)
	return s
}

// messages makes n messages of a shard with bodies of the given size, each beginning with its name.
func messages(shard int, prefix string, n, size int) []schemas.Message {
	out := make([]schemas.Message, n)
	for i := range out {
		body := make([]byte, size)
		for j := range body {
			body[j] = '.'
		}
		copy(body, fmt.Sprintf("%s-%d ", prefix, i))
		out[i] = schemas.Message{
			Shard: shard, Subject: fmt.Sprintf("feedback.%d.acme.review.feedback.received", shard),
			Header: map[string]string{schemas.HeaderContentType: schemas.ContentTypeEvent}, Data: body,
		}
	}
	return out
}

// state returns what the shard's stream holds.
func (w *world) state(shard int) stream.ShardState {
	w.t.Helper()
	all, err := stream.Accepted(w.ctx, w.js, shard+1)
	if err != nil {
		w.t.Fatal(err)
	}
	return all[shard]
}
