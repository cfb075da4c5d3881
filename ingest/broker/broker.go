package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Broker is a running embedded server. Its methods may be called at the same time from many goroutines.
type Broker struct {
	cfg  Config
	host string
	port int // as picked; a restart listens on the same

	mu     sync.Mutex
	srv    *server.Server // nil while a restart is under way or has failed
	low    error          // why events are refused, nil while the disk has room
	looked time.Time      // when the disk was asked last

	stop  context.CancelFunc
	done  chan struct{} // closed when the watchdog has ended
	once  sync.Once
	check func(*server.Server) error                 // health of the server; a field so that a test can make a server ill
	disk  func(string) (free, size int64, err error) // of the disk of a directory, in bytes, likewise
}

// Start starts the server, waits until its streams are recovered and clients can connect, and watches over it until
// [Broker.Close]. The end of ctx abandons the start; it does not stop a server that has started.
func Start(ctx context.Context, cfg Config) (*Broker, error) {
	return start(ctx, cfg, health, diskRoom)
}

func start(ctx context.Context, cfg Config, check func(*server.Server) error, disk func(string) (int64, int64, error)) (*Broker, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := probeDir(cfg.Dir); err != nil {
		return nil, err
	}
	if err := probeAddr(cfg.Addr); err != nil {
		return nil, err
	}
	host, port, err := cfg.hostPort()
	if err != nil {
		return nil, err
	}
	b := &Broker{cfg: cfg, host: host, port: port, done: make(chan struct{}), check: check, disk: disk}
	b.lookForRoom(0)
	srv, err := b.run(ctx)
	if err != nil {
		return nil, err
	}
	b.srv = srv
	if a, ok := srv.Addr().(*net.TCPAddr); ok {
		b.port = a.Port
	}
	watch, stop := context.WithCancel(context.WithoutCancel(ctx))
	b.stop = stop
	go b.watch(watch)
	return b, nil
}

// run brings up one server on the broker's directory and port.
func (b *Broker) run(ctx context.Context) (*server.Server, error) {
	port := b.port
	if port == 0 {
		port = server.RANDOM_PORT
	}
	most := b.cfg.MaxStore
	if most == 0 { // the server's own default is three quarters of what is free now, for the ledger too, until it is restarted
		most = unbounded
	}
	srv, err := server.NewServer(&server.Options{
		ServerName:             "earshot",
		Host:                   b.host,
		Port:                   port,
		JetStream:              true,
		StoreDir:               b.cfg.Dir,
		JetStreamMaxStore:      most,
		SyncAlways:             true, // what is acknowledged is on disk
		MaxPayload:             MaxPayload,
		NoSigs:                 true, // the process is not the server's to end
		DisableJetStreamBanner: true,
	})
	if err != nil {
		return nil, fmt.Errorf("broker: set up nats-server: %w", err)
	}
	log := &logger{to: b.cfg.Logger, died: make(chan struct{})}
	srv.SetLoggerV2(log, false, false, false)
	// Before the first client can connect, so that no event is stored under its unmapped subject.
	b.mu.Lock()
	err = b.route(srv, b.low == nil)
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	srv.Start()
	if err := b.ready(ctx, srv, log); err != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
		return nil, err
	}
	return srv, nil
}

// ready waits until clients can connect.
func (b *Broker) ready(ctx context.Context, srv *server.Server, log *logger) error {
	deadline := time.Now().Add(b.cfg.StartTimeout)
	for {
		select {
		case <-log.died:
			return fmt.Errorf("broker: nats-server did not start on %s with directory %s: %s", b.cfg.Addr, b.cfg.Dir, log.last())
		case <-ctx.Done():
			return fmt.Errorf("broker: start nats-server: %w", ctx.Err())
		default:
		}
		if srv.ReadyForConnections(50 * time.Millisecond) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("broker: nats-server was not ready after %s: look at the log lines above, or allow a longer start", b.cfg.StartTimeout)
		}
	}
}

// URL is where clients connect, such as nats://127.0.0.1:4222. It stays the same over restarts.
func (b *Broker) URL() string {
	return "nats://" + net.JoinHostPort(b.host, strconv.Itoa(b.port))
}

// Healthy reports what is wrong with the server, streams included, or why it refuses events, or nil. An unhealthy server
// may still answer reads.
func (b *Broker) Healthy() error {
	if err := b.well(); err != nil {
		return err
	}
	return b.Room()
}

// well reports what is wrong with the server itself.
func (b *Broker) well() error {
	b.mu.Lock()
	srv := b.srv
	b.mu.Unlock()
	if srv == nil {
		return errors.New("broker: the embedded nats-server is down; it is restarted as soon as that is possible")
	}
	return b.check(srv)
}

// Close stops the watchdog and the server and waits until all files are closed. Closing again does nothing.
func (b *Broker) Close() error {
	b.once.Do(func() {
		b.stop()
		<-b.done
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.srv != nil {
			b.end(b.srv, b.check(b.srv) != nil)
			b.srv = nil
		}
	})
	return nil
}

// health asks the server whether connections, JetStream and every stream work.
func health(srv *server.Server) error {
	h := srv.Healthz(&server.HealthzOptions{})
	if h.Status == "ok" {
		return nil
	}
	return fmt.Errorf("broker: the embedded nats-server is not healthy: %s", h.Error)
}
