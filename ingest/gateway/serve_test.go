package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/earshot/earshot/schemas"
)

// start serves the house on a port of its own; stop ends it and returns what Serve returned.
func start(t *testing.T, h *house) (url string, stop func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Serve(ctx, l) }()
	stop = func() error {
		cancel()
		err := <-done
		done <- err
		return err
	}
	t.Cleanup(func() { stop() })
	return "http://" + l.Addr().String(), stop
}

func TestServeLetsRequestsFinishWhenItEnds(t *testing.T) {
	h := newHouse(t, nil)
	h.log.wait, h.log.in = make(chan struct{}), make(chan struct{})
	url, stop := start(t, h)
	status := make(chan int, 1)
	go func() {
		resp, err := http.Post(url+"/v1/events", structured, strings.NewReader(event("1")))
		if err != nil {
			t.Error(err)
			status <- 0
			return
		}
		resp.Body.Close()
		status <- resp.StatusCode
	}()
	<-h.log.in
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	for !h.draining.Load() {
		time.Sleep(time.Millisecond)
	}
	if w := h.do("GET", "/readyz", ""); w.Code != 503 || !strings.Contains(w.Body.String(), "shutting down") {
		t.Errorf("while draining readyz says %d %s", w.Code, w.Body)
	}
	select {
	case err := <-ended:
		t.Fatalf("Serve returned %v while a request was under way", err)
	default:
	}
	close(h.log.wait)
	if s := <-status; s != 202 {
		t.Errorf("the request under way got %d", s)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve returned %v", err)
	}
	if n := len(h.log.stored()); n != 1 {
		t.Errorf("%d events were stored", n)
	}
}

func TestServeCutsOffWhatDoesNotFinish(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.DrainTimeout = 10 * time.Millisecond })
	h.log.wait, h.log.in = make(chan struct{}), make(chan struct{})
	url, stop := start(t, h)
	go func() {
		if resp, err := http.Post(url+"/v1/events", structured, strings.NewReader(event("1"))); err == nil {
			resp.Body.Close()
		}
	}()
	<-h.log.in
	if err := stop(); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Fatalf("Serve returned %v", err)
	}
	close(h.log.wait)
}

// ask sends a request on a connection and returns the status of its answer, or why there is none.
func ask(c net.Conn) string {
	io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err.Error()
	}
	return resp.Status
}

func dial(t *testing.T, url string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Connections at work keep their place, and a new one waits for them.
func TestConnectionsAreBounded(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.MaxConnections = 2 })
	h.log.wait, h.log.in = make(chan struct{}), make(chan struct{})
	url, _ := start(t, h)
	codes := make(chan int, 2)
	for range 2 {
		go func() {
			resp, err := http.Post(url+"/v1/events", structured, strings.NewReader(event("1")))
			if err != nil {
				t.Error(err)
				codes <- 0
				return
			}
			resp.Body.Close()
			codes <- resp.StatusCode
		}()
		<-h.log.in
	}
	answered := make(chan string, 1)
	third := dial(t, url)
	go func() { answered <- ask(third) }()
	select {
	case s := <-answered:
		t.Fatalf("the third connection was answered (%s) while two were at work", s)
	case <-time.After(50 * time.Millisecond):
	}
	close(h.log.wait)
	if a, b := <-codes, <-codes; a != 202 || b != 202 {
		t.Errorf("those at work got %d and %d", a, b)
	}
	if s := <-answered; s != "200 OK" {
		t.Errorf("when they had ended the third got %s", s)
	}
}

// In a full house the one gives way for whose sender we have waited longest, whether for headers, a body or a next request.
func TestWhoeverKeepsUsWaitingGivesWay(t *testing.T) {
	for claim, begin := range map[string]string{
		"nothing was sent":          "",
		"half of the headers":       "POST /v1/events HTTP/1.1\r\nHost: x\r\n",
		"half of a body":            "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: " + structured + "\r\nContent-Length: 10\r\n\r\n{",
		"half of a compressed body": "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: " + structured + "\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\n\x1f",
		"a request that is over":    "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		h := newHouse(t, func(c *Config) { c.MaxConnections = 2 })
		url, _ := start(t, h)
		first := dial(t, url)
		io.WriteString(first, begin)
		in := bufio.NewReader(first)
		if strings.HasPrefix(begin, "GET") {
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
		}
		for h.inFlight.Load() == 0 && strings.Contains(begin, "Length: 10\r") {
			time.Sleep(time.Millisecond) // until its body is being read
		}
		time.Sleep(20 * time.Millisecond)
		for i := range 2 {
			if s := ask(dial(t, url)); s != "200 OK" {
				t.Errorf("%s: connection %d got %s", claim, i+2, s)
			}
		}
		first.SetReadDeadline(time.Now().Add(2 * time.Second))
		if _, err := io.ReadAll(in); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: it kept its place", claim)
		}
	}
}

func TestHeadersAreBounded(t *testing.T) {
	url, _ := start(t, newHouse(t, nil))
	r, _ := http.NewRequest("GET", url+"/livez", nil)
	r.Header.Set("X-Long", strings.Repeat("x", 64<<10))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%s", resp.Status)
	}
}

func TestABodyWithoutLengthIsBoundedToo(t *testing.T) {
	url, _ := start(t, newHouse(t, nil))
	for size, want := range map[int]int{10: 400, schemas.MaxEventBytes + 1: 413} {
		// A reader of unknown length makes the client send chunks.
		resp, err := http.Post(url+"/v1/events", structured, io.MultiReader(bytes.NewReader(make([]byte, size))))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%d bytes: %s, want %d", size, resp.Status, want)
		}
	}
}

func TestTheCloudEventsSDKSendsInEveryMode(t *testing.T) {
	sample := func(id string) cloudevents.Event {
		e := cloudevents.NewEvent()
		e.SetID(id)
		e.SetSource("/sdk/shop")
		e.SetType("com.acme.feedback.received.v1")
		e.SetTime(clock.Add(123456789))
		e.SetSubject("c 7%")
		e.SetExtension("tenantid", "acmé \"x\"")
		if err := e.SetData("application/json", map[string]any{"channel": "app", "value_text": "Große Freude"}); err != nil {
			t.Fatal(err)
		}
		return e
	}
	h := newHouse(t, nil)
	url, _ := start(t, h)
	client, err := cloudevents.NewClientHTTP(cloudevents.WithTarget(url + "/v1/events"))
	if err != nil {
		t.Fatal(err)
	}
	if res := client.Send(cloudevents.WithEncodingStructured(context.Background()), sample("s1")); !cloudevents.IsACK(res) {
		t.Errorf("structured: %v", res)
	}
	if res := client.Send(cloudevents.WithEncodingBinary(context.Background()), sample("b1")); !cloudevents.IsACK(res) {
		t.Errorf("binary: %v", res)
	}
	req, err := cehttp.NewHTTPRequestFromEvents(context.Background(), url+"/v1/events", []cloudevents.Event{sample("l1"), sample("l2")})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 202 {
		t.Errorf("batch: %s", resp.Status)
	}
	var ids []string
	for _, m := range h.log.stored() {
		e, ps := schemas.DecodeStructured(m.Data, clock.Add(time.Second))
		if ps != nil {
			t.Fatalf("%v\n%s", ps, m.Data)
		}
		ids = append(ids, e.ID)
		if e.Tenant != "acmé \"x\"" || e.Source != "/sdk/shop" || e.Subject != "c 7%" || e.Data.Text != "Große Freude" || !e.Time.Equal(clock.Add(123e6)) {
			t.Errorf("%s arrived as %+v", e.ID, e)
		}
	}
	if got := strings.Join(ids, " "); got != "s1 b1 l1 l2" {
		t.Errorf("arrived: %s", got)
	}
}
