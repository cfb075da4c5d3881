package stream

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// linkGrace is how long an answer may still come after the connection was found again: a request made while it was lost
// is sent only then, while one that was under way when it broke is never answered.
const linkGrace = 300 * time.Millisecond

// link ends the waiting for answers that a lost connection took with it, long before a timeout would.
type link struct {
	nc     *nats.Conn
	events chan nats.Status
	done   chan struct{}

	mu     sync.Mutex
	ctx    context.Context // ends some time after the present connection was replaced by another
	cancel context.CancelFunc
}

// watchLink begins to watch; close ends it.
func watchLink(nc *nats.Conn) *link {
	l := &link{nc: nc, events: nc.StatusChanged(nats.CONNECTED), done: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	go func() {
		defer close(l.done)
		for range l.events {
			l.mu.Lock()
			time.AfterFunc(linkGrace, l.cancel)
			l.ctx, l.cancel = context.WithCancel(context.Background())
			l.mu.Unlock()
		}
	}()
	return l
}

// attempt returns a context that ends with parent, or when what was sent on the present connection cannot be answered.
func (l *link) attempt(parent context.Context) (context.Context, context.CancelFunc) {
	l.mu.Lock()
	present := l.ctx
	l.mu.Unlock()
	ctx, cancel := context.WithCancel(parent)
	stop := context.AfterFunc(present, cancel)
	return ctx, func() { stop(); cancel() }
}

func (l *link) close() {
	l.nc.RemoveStatusListener(l.events)
	<-l.done
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel()
}
