package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot/earshot/schemas"
)

// pipes is a listener whose connections are in memory, so that their deadlines run on the test's own clock.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.conns <- there
	return here
}

// slowLog commits after a while.
type slowLog struct{ takes time.Duration }

func (l slowLog) Publish(ctx context.Context, _ []schemas.Message) error {
	select {
	case <-time.After(l.takes):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestSlowClientsAreCutOffAndSlowCommitsAreNot(t *testing.T) {
	body := event("1")
	post := fmt.Sprintf("POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", structured, len(body))
	for _, c := range []struct {
		claim string
		log   time.Duration // how long the log takes
		send  func(io.Writer)
		code  int           // of the answer; 0: the connection is closed without one
		after time.Duration // when it comes
	}{
		{"headers that do not end within 5 s", 0, func(w io.Writer) { io.WriteString(w, "POST /v1/events HTTP/1.1\r\nHost: x\r\n") }, 0, 5 * time.Second},
		{"a body that does not end within 15 s", 0, func(w io.Writer) { io.WriteString(w, post+body[:10]) }, 408, 15 * time.Second},
		{"a body that comes late and a log that is slow still get an answer", 8 * time.Second, func(w io.Writer) {
			io.WriteString(w, post+body[:10])
			time.Sleep(14 * time.Second)
			io.WriteString(w, body[10:])
		}, 202, 22 * time.Second},
		{"a log that does not answer within 10 s", time.Hour, func(w io.Writer) { io.WriteString(w, post+body) }, 503, 10 * time.Second},
	} {
		t.Run(c.claim, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, err := New(Config{Log: slowLog{c.log}, Shards: 1, Now: func() time.Time { return clock }})
				if err != nil {
					t.Fatal(err)
				}
				l := newPipes()
				ctx, cancel := context.WithCancel(context.Background())
				ended := make(chan error, 1)
				go func() { ended <- g.Serve(ctx, l) }()
				conn, start := l.dial(), time.Now()
				go c.send(conn)
				code := 0
				if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
					code = resp.StatusCode
				}
				if took := time.Since(start); code != c.code || took.Round(time.Second) != c.after {
					t.Errorf("%d after %s, want %d after %s", code, took, c.code, c.after)
				}
				conn.Close()
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
