package broker

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// log is a log that a test can read while it is written.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// eventually waits for a condition that must come true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("in vain: %s", what)
}

func (b *Broker) server() *server.Server {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.srv
}

func TestAnIllServerIsRestartedWhenItsDiskHasRoom(t *testing.T) {
	var ill, room atomic.Bool
	room.Store(false)
	var lines log
	b, err := start(context.Background(), Config{Dir: t.TempDir(), Addr: "127.0.0.1:0", Shards: 1, CheckEvery: 5 * time.Millisecond,
		Logger: zerolog.New(&lines)},
		func(s *server.Server) error {
			if ill.Load() {
				return errors.New("frozen")
			}
			return health(s)
		},
		func(string) (int64, int64, error) {
			if room.Load() {
				return 1 << 40, 1 << 41, nil
			}
			return 1000, 1 << 41, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	nc, err := nats.Connect(b.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(ctx, "s", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	first, url := b.server(), b.URL()

	ill.Store(true)
	eventually(t, "the watchdog says that there is no room", func() bool { return strings.Contains(lines.String(), "before its disk has room") })
	if b.server() != first {
		t.Fatal("restarted although the disk had no room")
	}
	room.Store(true)
	eventually(t, "a new server", func() bool { s := b.server(); return s != nil && s != first })
	ill.Store(false)
	eventually(t, "health", func() bool { return b.Healthy() == nil })
	eventually(t, "the client is back by itself", func() bool { return nc.IsConnected() && nc.Stats().Reconnects > 0 })
	if b.URL() != url {
		t.Errorf("the address changed from %s to %s", url, b.URL())
	}
	st, err := js.Stream(ctx, "S")
	if err != nil || st.CachedInfo().State.Msgs != 1 {
		t.Fatalf("the message is gone: %v", err)
	}
	if _, err := js.Publish(ctx, "s", []byte("new")); err != nil {
		t.Error(err)
	}
	if n := strings.Count(lines.String(), "before its disk has room"); n != 1 {
		t.Errorf("a change of state was logged %d times", n)
	}
}

func TestARestartThatDoesNotHelpIsRepeatedEverMoreRarely(t *testing.T) {
	var checks, starts atomic.Int64
	var at []int64
	var mu sync.Mutex
	var last *server.Server
	b, err := start(context.Background(), Config{Dir: t.TempDir(), Addr: "127.0.0.1:0", Shards: 1, CheckEvery: time.Millisecond,
		UnhealthyAfter: 2, Logger: zerolog.Nop()},
		func(s *server.Server) error {
			mu.Lock()
			defer mu.Unlock()
			n := checks.Add(1)
			if s != last {
				last = s
				at = append(at, n)
				starts.Add(1)
			}
			return errors.New("ill for good")
		},
		func(string) (int64, int64, error) { return 1 << 40, 1 << 41, nil })
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	eventually(t, "four restarts", func() bool { return starts.Load() >= 5 })
	mu.Lock()
	defer mu.Unlock()
	for i := 2; i < len(at)-1; i++ {
		if at[i+1]-at[i] < at[i]-at[i-1] {
			t.Errorf("restarts were seen at checks %v: the pauses do not grow", at)
		}
	}
}

func TestARestartThatFailsIsTriedAgain(t *testing.T) {
	var lines log
	b, err := Start(context.Background(), Config{Dir: t.TempDir(), Addr: "127.0.0.1:0", Shards: 1, CheckEvery: 100 * time.Millisecond,
		UnhealthyAfter: 1, MinFree: 1, Logger: zerolog.New(&lines)})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	// Somebody takes the port in the moment the server gives it up.
	first := b.server()
	addr := strings.TrimPrefix(b.URL(), "nats://")
	first.Shutdown()
	first.WaitForShutdown()
	thief, err := net.Listen("tcp", addr)
	for i := 0; err != nil && i < 50; i++ { // the watchdog was faster: take the port from the next server
		next := b.server()
		if next != nil {
			next.Shutdown()
			next.WaitForShutdown()
		}
		thief, err = net.Listen("tcp", addr)
	}
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a restart that fails", func() bool { return strings.Contains(lines.String(), "could not be restarted") })
	if b.Healthy() == nil {
		t.Error("a broker without a server calls itself healthy")
	}
	thief.Close()
	eventually(t, "a new server", func() bool { s := b.server(); return s != nil && s != first && b.Healthy() == nil })
}
