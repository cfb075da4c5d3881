package gateway

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
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

func TestConnectionsAreBounded(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.MaxConnections = 2 })
	url, _ := start(t, h)
	addr := strings.TrimPrefix(url, "http://")
	ask := func(c net.Conn) string {
		io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return err.Error()
		}
		return resp.Status
	}
	open := make([]net.Conn, 3)
	for i := range open {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open[i] = c
		if i < 2 {
			if s := ask(c); s != "200 OK" {
				t.Fatalf("connection %d: %s", i, s)
			}
		}
	}
	answered := make(chan string, 1)
	go func() { answered <- ask(open[2]) }()
	select {
	case s := <-answered:
		t.Fatalf("the third connection was answered (%s) while two were open", s)
	case <-time.After(50 * time.Millisecond):
	}
	open[0].Close()
	if s := <-answered; s != "200 OK" {
		t.Fatalf("after one was closed the third got %s", s)
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
