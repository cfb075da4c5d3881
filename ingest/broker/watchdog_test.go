package broker

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
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
		func(string) (int64, error) {
			if room.Load() {
				return 1 << 40, nil
			}
			return 1000, nil
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
		func(string) (int64, error) { return 1 << 40, nil })
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
	if err != nil {
		t.Skipf("the watchdog was faster than this test: %v", err)
	}
	eventually(t, "a restart that fails", func() bool { return strings.Contains(lines.String(), "could not be restarted") })
	if b.Healthy() == nil {
		t.Error("a broker without a server calls itself healthy")
	}
	thief.Close()
	eventually(t, "a new server", func() bool { s := b.server(); return s != nil && s != first && b.Healthy() == nil })
}

// A real disk, as small as a test needs it, that really fills up.
func TestAFullDiskFreezesAndHeals(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("a file system of its own cannot be mounted here: %v", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	var lines log
	b, err := Start(context.Background(), Config{Dir: dir + "/js", Addr: "127.0.0.1:0", Shards: 1, CheckEvery: 20 * time.Millisecond,
		MaxStore: 1 << 30, MinFree: 12 << 20, Logger: zerolog.New(&lines)})
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
	ballast := fillDisk(t, dir, 14<<20)
	stored := 0
	for {
		try, stop := context.WithTimeout(ctx, 500*time.Millisecond)
		_, err := js.Publish(try, "s", make([]byte, 256<<10))
		stop()
		if err != nil {
			break
		}
		if stored++; stored > 1000 {
			t.Fatal("the disk does not fill up")
		}
	}
	eventually(t, "the watchdog sees it", func() bool { return b.Healthy() != nil })
	eventually(t, "and waits for room", func() bool { return strings.Contains(lines.String(), "before its disk has room") })
	ballast()
	eventually(t, "health after room was made", func() bool { return b.Healthy() == nil && strings.Contains(lines.String(), "was restarted") })
	eventually(t, "writes again", func() bool {
		try, stop := context.WithTimeout(ctx, 500*time.Millisecond)
		defer stop()
		_, err := js.Publish(try, "s", []byte("after"))
		return err == nil
	})
	st, err := js.Stream(ctx, "S")
	if err != nil {
		t.Fatal(err)
	}
	if n := st.CachedInfo().State.Msgs; n < uint64(stored)+1 {
		t.Errorf("%d messages, though %d were confirmed", n, stored+1)
	}
}

// fillDisk takes bytes from the disk and returns a function that gives them back.
func fillDisk(t *testing.T, dir string, bytes int) func() {
	t.Helper()
	name := filepath.Join(dir, "ballast")
	if err := os.WriteFile(name, make([]byte, bytes), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
}
