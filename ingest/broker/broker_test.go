package broker_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/broker"
	"github.com/earshot/earshot/schemas"
)

func start(t *testing.T, cfg broker.Config) *broker.Broker {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if cfg.Shards == 0 {
		cfg.Shards = 1
	}
	cfg.Logger = zerolog.Nop()
	b, err := broker.Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func connect(t *testing.T, b *broker.Broker) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := nats.Connect(b.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}

func TestARestartKeepsWhatWasAcknowledged(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	b := start(t, broker.Config{Dir: dir})
	_, js := connect(t, b)
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if _, err := js.Publish(ctx, "s", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	addr := strings.TrimPrefix(b.URL(), "nats://")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = start(t, broker.Config{Dir: dir, Addr: addr})
	if err := b.Healthy(); err != nil {
		t.Fatal(err)
	}
	_, js = connect(t, b)
	st, err := js.Stream(ctx, "S")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		m, err := st.GetMsg(ctx, uint64(i+1))
		if err != nil || string(m.Data) != fmt.Sprint(i) {
			t.Fatalf("message %d: %v", i+1, err)
		}
	}
}

func TestTheServerPlacesAKeyWhereTheContractSays(t *testing.T) {
	for _, shards := range []int{1, 2, 16} {
		b := start(t, broker.Config{Shards: shards})
		nc, _ := connect(t, b)
		sub, err := nc.SubscribeSync("feedback.>")
		if err != nil {
			t.Fatal(err)
		}
		used := map[int]bool{}
		for i := range 60 {
			key := schemas.KeyToken("acme", fmt.Sprint("customer ", i))
			for _, kind := range []string{"received", "feedback.received", "customer.erase.requested"} {
				shard := schemas.Shard(key, shards)
				used[shard] = true
				if err := nc.Publish("feedback.in.acme.review."+kind+"."+key, nil); err != nil {
					t.Fatal(err)
				}
				m, err := sub.NextMsg(5 * time.Second)
				if err != nil {
					t.Fatal(err)
				}
				if want := fmt.Sprintf("feedback.%d.acme.review.%s", shard, kind); m.Subject != want {
					t.Errorf("%d shards: %s arrived, wanted %s", shards, m.Subject, want)
				}
			}
		}
		if len(used) != shards {
			t.Errorf("60 keys fell on %d of %d shards", len(used), shards)
		}
		for _, subject := range []string{"feedback.in.acme.review", "feedback.in.acme", "feedback.in.a.b.c.d.e.f.g", "feedback.3.acme.review.feedback.received"} {
			if err := nc.Publish(subject, nil); err != nil {
				t.Fatal(err)
			}
			m, err := sub.NextMsg(5 * time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if m.Subject != subject {
				t.Errorf("%s became %s, though no mapping speaks of it", subject, m.Subject)
			}
		}
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := broker.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0", Shards: 1}
	for _, c := range []struct {
		claim  string
		change func(*broker.Config)
		names  []string
	}{
		{"the port is taken", func(c *broker.Config) { c.Addr = taken.Addr().String() }, []string{"EARSHOT_BROKER_ADDR", taken.Addr().String(), "in use"}},
		{"the directory is a file", func(c *broker.Config) { c.Dir = file }, []string{file, "give the broker a directory"}},
		{"the directory is below a file", func(c *broker.Config) { c.Dir = file + "/x" }, []string{file, "give the broker a directory"}},
		{"the directory is relative", func(c *broker.Config) { c.Dir = "data" }, []string{`"data"`, "absolute"}},
		{"no shards", func(c *broker.Config) { c.Shards = 0 }, []string{"shards 0"}},
		{"the whole network", func(c *broker.Config) { c.Addr = "0.0.0.0:4222" }, []string{"EARSHOT_BROKER_ADDR", "loopback", "EARSHOT_NATS_URL"}},
		{"no port", func(c *broker.Config) { c.Addr = "127.0.0.1" }, []string{"EARSHOT_BROKER_ADDR", "host:port"}},
		{"a port that is none", func(c *broker.Config) { c.Addr = "127.0.0.1:99999" }, []string{"EARSHOT_BROKER_ADDR", "65535"}},
		{"everything at once", func(c *broker.Config) { c.Dir, c.Shards, c.Addr, c.MinFree = "", -1, "x", -1 }, []string{"directory", "shards", "EARSHOT_BROKER_ADDR", "negative"}},
	} {
		t.Run(c.claim, func(t *testing.T) {
			cfg := good
			c.change(&cfg)
			b, err := broker.Start(t.Context(), cfg)
			if err == nil {
				b.Close()
				t.Fatal("it started")
			}
			for _, name := range c.names {
				if !strings.Contains(err.Error(), name) {
					t.Errorf("the error does not say %q: %v", name, err)
				}
			}
		})
	}
}

func TestAStartMayBeAbandoned(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if b, err := broker.Start(ctx, broker.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0", Shards: 1}); err == nil {
		b.Close()
		t.Error("it started")
	}
}

func TestTheServerOutlivesTheContextOfItsStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b, err := broker.Start(ctx, broker.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0", Shards: 1, CheckEvery: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	cancel()
	nc, _ := connect(t, b)
	if err := nc.Flush(); err != nil {
		t.Error(err)
	}
}

func TestCloseEndsEverythingAndMayBeRepeated(t *testing.T) {
	before := runtime.NumGoroutine()
	b := start(t, broker.Config{CheckEvery: time.Millisecond})
	addr := strings.TrimPrefix(b.URL(), "nats://")
	for range 3 {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	if b.Healthy() == nil {
		t.Error("a closed broker calls itself healthy")
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	l.Close()
	for range 500 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines before, %d after", before, runtime.NumGoroutine())
}

func TestTheServerKeepsItsPromises(t *testing.T) {
	b := start(t, broker.Config{})
	nc, js := connect(t, b)
	if nc.MaxPayload() != broker.MaxPayload {
		t.Errorf("payload of at most %d, wanted %d", nc.MaxPayload(), broker.MaxPayload)
	}
	if !nc.HeadersSupported() {
		t.Error("no headers")
	}
	s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, AllowAtomicPublish: true, AllowMsgTTL: true})
	if err != nil {
		t.Fatal(err)
	}
	if c := s.CachedInfo().Config; !c.AllowAtomicPublish || !c.AllowMsgTTL || c.Storage != jetstream.FileStorage {
		t.Errorf("%+v", c)
	}
}
