package main

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"
)

// line is how a proxy treats what passes through it.
type line int

const (
	good line = iota
	cut       // connections are closed, new ones at once
	held      // nothing passes, and all of it passes later: packets are lost and sent again
	half      // the server's ends are closed and the clients' stay open, silent for ever
)

// proxy stands before a server and plays a bad line.
type proxy struct {
	listener net.Listener
	target   string // host:port

	mu     sync.Mutex
	change *sync.Cond
	line   line
	delay  time.Duration // of every answer
	pairs  map[*pair]bool
}

// pair is a client's connection and the proxy's own to the server.
type pair struct {
	client, server net.Conn
	dead           bool // the client is to notice nothing; guarded by the proxy's mutex
}

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: target, pairs: map[*pair]bool{}}
	p.change = sync.NewCond(&p.mu)
	go p.accept()
	t.Cleanup(func() {
		l.Close()
		p.set(cut, 0)
	})
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// set changes the line and the delay of answers.
func (p *proxy) set(l line, delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line, p.delay = l, delay
	p.change.Broadcast()
	for c := range p.pairs {
		switch l {
		case cut:
			c.client.Close()
			c.server.Close()
		case half:
			c.dead = true
			c.server.Close()
		}
	}
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		c := &pair{client: client, server: server}
		p.mu.Lock()
		now := p.line
		p.pairs[c] = true
		p.mu.Unlock()
		if now == cut || now == half {
			p.set(now, 0)
		}
		go p.carry(c, client, server, false)
		go p.carry(c, server, client, true)
	}
}

// carry passes on what one end says until it has no more to say.
func (p *proxy) carry(c *pair, from, to net.Conn, answers bool) {
	type chunk struct {
		at time.Time
		b  []byte
	}
	chunks := make(chan chunk, 64)
	go func() {
		defer close(chunks)
		for {
			b := make([]byte, 32<<10)
			n, err := from.Read(b)
			if n > 0 {
				chunks <- chunk{time.Now(), b[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	for k := range chunks {
		p.mu.Lock()
		for p.line == held {
			p.change.Wait()
		}
		delay := p.delay
		p.mu.Unlock()
		if answers {
			time.Sleep(time.Until(k.at.Add(delay)))
		}
		to.Write(k.b) // an end that has gone shows in the other direction
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !c.dead {
		c.client.Close()
		c.server.Close()
		delete(p.pairs, c)
	}
}

// producer sends events through a gateway as a client that takes its promises at their word: what is not accepted is sent
// again, the same events with the same ids.
type producer struct {
	t        *testing.T
	gateway  string
	filler   string // of every event, beside its text
	next     int    // number of the first event not accepted yet
	accepted map[string]bool
	mayFail  bool // whether the gateway may break off
	refused  int  // answers other than 202
	bytes    int64
	took     []time.Duration
}

func newProducer(t *testing.T, gateway string) *producer {
	return &producer{t: t, gateway: gateway, accepted: map[string]bool{}}
}

// send sends the next n events as one batch and reports whether they were accepted. Every refusal must be one that says
// when to come back.
func (s *producer) send(n int) bool {
	s.t.Helper()
	body := []byte{'['}
	for i := range n {
		if i > 0 {
			body = append(body, ',')
		}
		id := s.next + i
		body = fmt.Appendf(body, `{"specversion":"1.0","id":"%d","source":"/test/exact","type":"feedback.received.v1","time":"2026-11-0%dT08:31:07Z","tenantid":"acme","data":{"channel":"support","value_text":"Parcel %d arrived crushed.","customer_id":"c-%d","metadata":{"filler":%q}}}`,
			id, 1+id%9, id, id%1000, s.filler)
	}
	body = append(body, ']')
	began := time.Now()
	resp, answer, err := postFor(s.gateway+"/v1/events", batchType, body)
	switch {
	case err != nil && s.mayFail:
		return false
	case err != nil:
		s.t.Fatalf("the gateway did not answer: %v", err)
	}
	s.took = append(s.took, time.Since(began))
	if resp.StatusCode != http.StatusAccepted {
		s.refused++
		after, err := strconv.Atoi(resp.Header.Get("Retry-After"))
		if resp.StatusCode != http.StatusServiceUnavailable || err != nil || after < 1 {
			s.t.Errorf("refused with %d, Retry-After %q: %s", resp.StatusCode, resp.Header.Get("Retry-After"), answer)
		}
		return false
	}
	for i := range n {
		s.accepted[strconv.Itoa(s.next+i)] = true
	}
	s.next += n
	s.bytes += int64(len(body))
	return true
}

// sent says whether the id is one that was sent: all up to the batch that was refused last.
func (s *producer) sent(id string) bool {
	n, err := strconv.Atoi(id)
	return err == nil && n < s.next+1000
}

// late is how long the slowest hundredth of the requests since the last call took at least.
func (s *producer) late() time.Duration {
	took := s.took
	s.took = nil
	return percentile(took, 0.99)
}
