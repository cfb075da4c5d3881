package remote

import (
	"sync"
	"time"
)

// breaker keeps requests from a model that fails: after some failures in a row none is sent for the cooldown, then one is
// tried, and its end decides.
type breaker struct {
	failures int // in a row, from which on it is open
	cooldown time.Duration

	mu     sync.Mutex
	failed int       // in a row
	until  time.Time // closed before, if failed < failures
	trying bool
}

// allow says whether a request may be sent; if so, it must be told to [breaker.done].
func (b *breaker) allow(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.failed < b.failures:
		return true
	case b.trying || now.Before(b.until):
		return false
	}
	b.trying = true
	return true
}

// done takes how a request ended; it says whether nobody is asked from now on who was before.
func (b *breaker) done(ok bool, now time.Time) (opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = false
	if ok {
		b.failed = 0
		return false
	}
	b.failed++
	if b.failed >= b.failures {
		b.until = now.Add(b.cooldown)
	}
	return b.failed == b.failures
}

// spare takes that a request ended for reasons that say nothing about the model.
func (b *breaker) spare() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = false
}
