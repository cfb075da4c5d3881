package gateway

import (
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// clients keeps a token bucket for each client address. An address that has been quiet long enough for its bucket to be
// full again is forgotten, since a new bucket is full as well.
type clients struct {
	perSecond float64 // 0: no bound
	burst     int

	mu     sync.Mutex
	bucket map[string]*rate.Limiter
	swept  time.Time
}

func newClients(perSecond float64, burst int) *clients {
	return &clients{perSecond: perSecond, burst: burst, bucket: map[string]*rate.Limiter{}}
}

// maxClients bounds the memory for buckets. When so many addresses are being counted, all of them start afresh.
const maxClients = 100_000

// take asks for n events of the client; wait is how long it should wait before it asks again, 0: granted.
func (c *clients) take(r *http.Request, now time.Time, n int) (wait time.Duration) {
	if c.perSecond == 0 {
		return 0
	}
	res := c.of(r, now).ReserveN(now, n)
	if !res.OK() { // more than a burst: never possible at once; a batch is no larger than the burst
		return time.Second
	}
	if wait = res.DelayFrom(now); wait > 0 {
		res.CancelAt(now)
	}
	return wait
}

// exhausted says whether the client has no event left, before its body is read; wait as with take.
func (c *clients) exhausted(r *http.Request, now time.Time) (wait time.Duration) {
	if c.perSecond == 0 {
		return 0
	}
	if tokens := c.of(r, now).TokensAt(now); tokens < 1 {
		return time.Duration((1 - tokens) / c.perSecond * float64(time.Second))
	}
	return 0
}

func (c *clients) of(r *http.Request, now time.Time) *rate.Limiter {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.bucket) >= maxClients {
		clear(c.bucket)
	}
	if now.Sub(c.swept) > time.Minute {
		for addr, b := range c.bucket {
			if b.TokensAt(now) >= float64(c.burst) {
				delete(c.bucket, addr)
			}
		}
		c.swept = now
	}
	b := c.bucket[host]
	if b == nil {
		b = rate.NewLimiter(rate.Limit(c.perSecond), c.burst)
		c.bucket[host] = b
	}
	return b
}

// hold reserves bytes for a body; release gives them back. ok is false when too much is being worked on already.
func (g *Gateway) hold(bytes int64) (release func(), ok bool) {
	if g.inFlight.Add(bytes) > g.cfg.MaxInFlightBytes {
		g.inFlight.Add(-bytes)
		return nil, false
	}
	return func() { g.inFlight.Add(-bytes) }, true
}

// limitConnections lets at most n connections of l be open; further ones wait in the kernel's queue.
func limitConnections(l net.Listener, n int) net.Listener {
	return &limitListener{Listener: l, slots: make(chan struct{}, n), closed: make(chan struct{})}
}

type limitListener struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitConn{Conn: c, release: func() { <-l.slots }}, nil
}

func (l *limitListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitConn struct {
	net.Conn
	once    sync.Once
	release func()
}

func (c *limitConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.release)
	return err
}
