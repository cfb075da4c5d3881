package gateway

import (
	"net/http"
	"net/netip"
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

// clientOf is who an address stands for: of IPv6 the network of 64 bits, because whoever has one address there has all.
func clientOf(remote string) string {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	addr := at.Addr().Unmap()
	if addr.Is4() {
		return addr.String()
	}
	network, err := addr.WithZone("").Prefix(64)
	if err != nil {
		return remote // an IPv6 address has 64 bits: it cannot happen
	}
	return network.String()
}

func (c *clients) of(r *http.Request, now time.Time) *rate.Limiter {
	host := clientOf(r.RemoteAddr)
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

// held is what one body holds of the bytes that may be in flight.
type held struct {
	g     *Gateway
	bytes int64
}

// grow reserves more; false when too much is being worked on already.
func (h *held) grow(bytes int64) bool {
	if h.g.inFlight.Add(bytes) > h.g.cfg.MaxInFlightBytes {
		h.g.inFlight.Add(-bytes)
		return false
	}
	h.bytes += bytes
	return true
}

// release gives everything back.
func (h *held) release() {
	h.g.inFlight.Add(-h.bytes)
	h.bytes = 0
}
