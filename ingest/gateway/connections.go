package gateway

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
)

// limitConnections lets at most n connections of l be open. When all are taken and another one comes, the one gives way
// for whose sender we have waited longest: for its headers, its body or its next request. So nobody keeps others out by
// being slow. Connections whose requests are being worked on are never cut off; while there are only such, new ones wait.
func limitConnections(l net.Listener, n int) *limitListener {
	return &limitListener{Listener: l, most: n, waiting: list.New(), room: make(chan struct{}, 1), closed: make(chan struct{})}
}

type limitListener struct {
	net.Listener
	most int

	mu      sync.Mutex
	open    int
	waiting *list.List // of *limitConn, the longest waiting first

	room   chan struct{} // something has changed: a connection is closed, or waits
	closed chan struct{}
	once   sync.Once
}

// Accept returns the next connection as soon as there is room for it.
func (l *limitListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	for {
		l.mu.Lock()
		if l.open < l.most {
			l.open++
			conn := &limitConn{Conn: c, house: l}
			conn.at = l.waiting.PushBack(conn)
			l.mu.Unlock()
			return conn, nil
		}
		longest := l.waiting.Front()
		l.mu.Unlock()
		if longest != nil {
			longest.Value.(*limitConn).Close()
			continue
		}
		select {
		case <-l.room:
		case <-l.closed:
			c.Close()
			return nil, net.ErrClosed
		}
	}
}

// Close ends the listening; what is open stays open.
func (l *limitListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

func (l *limitListener) changed() {
	select {
	case l.room <- struct{}{}:
	default: // it is known already
	}
}

// limitConn is one connection.
type limitConn struct {
	net.Conn
	house *limitListener
	at    *list.Element // among the waiting; nil: its request is being worked on
	gone  bool
}

// wait says whether its sender is waited for from now on.
func (c *limitConn) wait(waits bool) {
	c.house.mu.Lock()
	defer c.house.mu.Unlock()
	switch {
	case c.gone:
	case waits && c.at == nil:
		c.at = c.house.waiting.PushBack(c)
		c.house.changed()
	case !waits && c.at != nil:
		c.house.waiting.Remove(c.at)
		c.at = nil
	}
}

// Close closes the connection and makes room.
func (c *limitConn) Close() error {
	c.house.mu.Lock()
	if !c.gone {
		c.gone = true
		c.house.open--
		if c.at != nil {
			c.house.waiting.Remove(c.at)
			c.at = nil
		}
		c.house.changed()
	}
	c.house.mu.Unlock()
	return c.Conn.Close()
}

// connKey is where a request's context holds its connection.
type connKey struct{}

func keepConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// connState is told by net/http: a connection is active when the headers of a request are there, idle after the answer.
func connState(c net.Conn, s http.ConnState) {
	if conn, ok := c.(*limitConn); ok {
		conn.wait(s == http.StateNew || s == http.StateIdle)
	}
}

// awaitBody says that the sender of r is waited for, until done is called.
func awaitBody(r *http.Request) (done func()) {
	conn, ok := r.Context().Value(connKey{}).(*limitConn)
	if !ok {
		return func() {}
	}
	conn.wait(true)
	return func() { conn.wait(false) }
}
