package gateway

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
)

// hostileValues are JSON values that readers stumble over.
func hostileValues() map[string]string {
	return map[string]string{
		"10,000 levels": strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), "open lists": strings.Repeat("[", 100_000),
		"open objects": strings.Repeat(`{"a":`, 20_000), "not UTF-8": "\"\xff\xfe\x80\"", "cut off in a character": "\"\xe2\x82\"", "NUL": "\"a\x00b\"", "escaped NUL": `"a\u0000b"`,
		"half a surrogate pair": `"\ud800"`, "direction marks": `"\u202eabc\u2066"`, "zero width": `"\u200b\u200d\ufeff"`, "only zero width": `"\u200b"`,
		"2^63": "9223372036854775808", "2^64": "18446744073709551616", "1e400": "1e400", "-1e400": "-1e400", "1e-400": "1e-400", "many digits": strings.Repeat("9", 5000),
		"-0": "-0", "0x10": "0x10", "NaN": "NaN", "null": "null", "true": "true", "a list": `["a"]`, "an object": `{"a":1}`, "an empty text": `""`,
		"a long text": `"` + strings.Repeat("漢", 100_000) + `"`, "marks": `"` + strings.Repeat("e\u0301\u0302\u0303", 5000) + `"`,
		"same name twice": `{"a":1,"a":2}`, "a control": "\"\x1b[31m\"", "a line end": "\"a\nb\"", "a formula": `"=cmd|' /C calc'!A0"`, "SQL": `"'; DROP TABLE feedback; --"`,
		"markup": `"<script>alert(1)</script>"`, "a closing bracket": "]", "nothing": "",
	}
}

// judged sends a body and holds the answer against what every input must end as: in the log, in a form that keeps the
// contract, or refused by a 4xx that says why.
func judged(t testing.TB, what string, h *house, path, media, body string, headers ...string) int {
	t.Helper()
	h.log.msgs = nil
	w := h.do("POST", path, body, append([]string{"Content-Type", media}, headers...)...)
	stored := h.log.stored()
	switch {
	case w.Code == 200 || w.Code == 202:
		for _, m := range stored {
			if _, ps := schemas.DecodeStructured(m.Data, clock); len(ps) > 0 {
				t.Errorf("%s: taken and stored, but %v: %.200s", what, ps, m.Data)
			}
		}
	case w.Code < 400 || w.Code >= 500:
		t.Errorf("%s: %d %.300s", what, w.Code, w.Body)
	default:
		if len(stored) > 0 {
			t.Errorf("%s: refused with %d, but stored", what, w.Code)
		}
		read(t, w)
	}
	return w.Code
}

func TestHostileBodiesAreStoredOrRefused(t *testing.T) {
	h := newHouse(t, nil)
	codes := map[int]int{}
	for name, v := range hostileValues() {
		bodies := []string{v, "[" + v + "]", `{"a":` + v + `}`, strings.Replace(event("1"), `"id":"1"`, `"id":`+v, 1)}
		for _, field := range []string{"text", "rating", "channel", "id", "time", "tenant", "customer", "scale_min", "metadata", v} {
			bodies = append(bodies, `{"text":"x","`+field+`":`+v+`}`)
		}
		for _, f := range schemas.Fields() {
			codes[judged(t, name+" as "+f.Name, h, "/v1/events", structured, `{"specversion":"1.0","id":"1","source":"/x","type":"feedback.received.v1","time":"2026-11-20T10:00:00Z","tenantid":"a","data":{"value_text":"x","`+f.Name+`":`+v+`}}`)]++
		}
		for i, body := range bodies {
			for path, kinds := range map[string][]string{"/v1/events": {structured, batched, "application/json"}, "/v1/feedback": {"application/json", "text/plain", "application/x-www-form-urlencoded"}} {
				for _, media := range kinds {
					codes[judged(t, fmt.Sprintf("%s, body %d as %s to %s", name, i, media, path), h, path, media, body)]++
				}
			}
		}
		for _, header := range []string{"Ce-Id", "Ce-Time", "Ce-Tenantid", "Ce-Type", "Ce-Subject"} {
			codes[judged(t, name+" in "+header, h, "/v1/events", "application/json", `{"value_text":"x"}`, "Ce-Specversion", "1.0", "Ce-Source", "/x", header, v)]++
		}
	}
	if codes[202] < 100 || codes[400] < 100 || codes[422] < 100 || codes[413] < 1 {
		t.Errorf("the bodies do not reach every kind of answer: %v", codes)
	}
	if s := h.out.String(); s != "" {
		t.Errorf("the gateway's own log is for its faults: %.500s", s)
	}
}

// FuzzRequests is the way in as a whole: whatever is sent, the answer is one of success or a 4xx.
func FuzzRequests(f *testing.F) {
	for i, v := range []string{event("1"), "[" + event("1") + "]", `{"text":"Late again","rating":4}`, "text=Late&rating=4", "Late again", "{}", "\xff"} {
		f.Add(uint8(i), structured, "", "1.0", v)
		f.Add(uint8(i), "application/json", "gzip", "", v)
		f.Add(uint8(i), "application/x-www-form-urlencoded", "", "", v)
	}
	paths := []string{"/v1/events", "/v1/feedback", "/v1/hooks/x/y"}
	answer := &HookAnswer{}
	h := newHouse(f, func(c *Config) { c.Hooks, c.MaxBatchBytes = &scripted{answer: answer}, 300<<10 })
	f.Fuzz(func(t *testing.T, which uint8, media, encoding, version, body string) {
		headers := []string{"Content-Encoding", encoding}
		if version != "" {
			headers = append(headers, "Ce-Specversion", version, "Ce-Id", body[:min(len(body), 20)], "Ce-Source", "/x", "Ce-Type", "feedback.received.v1", "Ce-Tenantid", version)
		}
		judged(t, "fuzzed", h, paths[int(which)%len(paths)], media, body, headers...)
	})
}

// bomb is a gzip file of 10 MiB that unpacks to 10 GiB: many members, each of zeros.
func bomb(t testing.TB) []byte {
	t.Helper()
	var one bytes.Buffer
	zw := gzip.NewWriter(&one)
	zeros := make([]byte, 1<<20)
	for range 64 {
		if _, err := zw.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.Repeat(one.Bytes(), 160)
}

// nobody hides a body's length, so that it is sent in chunks.
type nobody struct{ io.Reader }

// A bomb is refused before it has gone off: what is allocated for one, all told, is less than 16 MiB.
func TestCompressedBombsAreRefusedEarly(t *testing.T) {
	b := bomb(t)
	if len(b) < 9<<20 || len(b) > 11<<20 {
		t.Fatalf("the bomb has %d bytes", len(b))
	}
	spaces := func(n int) []byte { // of a ratio that passes, with more than is allowed
		var out bytes.Buffer
		zw, _ := gzip.NewWriterLevel(&out, gzip.HuffmanOnly)
		zw.Write(bytes.Repeat([]byte("  \n"), n/3))
		zw.Close()
		return out.Bytes()
	}
	h := newHouse(t, func(c *Config) { c.Hooks = &scripted{answer: &HookAnswer{}} })
	for _, c := range []struct {
		claim, path, media string
		body               []byte
		chunked            bool
	}{
		{"a batch", "/v1/events", batched, b, false},
		{"a batch in chunks", "/v1/events", batched, b, true},
		{"an event in chunks", "/v1/events", structured, b, true},
		{"the short form in chunks", "/v1/feedback", "application/json", b, true},
		{"a text in chunks", "/v1/feedback", "text/plain", b, true},
		{"a hook's body", "/v1/hooks/zendesk/acme", "application/json", b, false},
		{"a hook's body in chunks", "/v1/hooks/zendesk/acme", "application/json", b, true},
		{"a small bomb", "/v1/hooks/zendesk/acme", "application/json", b[:64<<10], false},
		{"a bomb that is no bomb by its ratio", "/v1/events", batched, spaces(20 << 20), true},
	} {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := httptest.NewRequest("POST", c.path, bytes.NewReader(c.body))
		if c.chunked {
			r.Body, r.ContentLength = io.NopCloser(nobody{bytes.NewReader(c.body)}), -1
		}
		r.Header.Set("Content-Type", c.media)
		r.Header.Set("Content-Encoding", "gzip")
		w := httptest.NewRecorder()
		h.Handler().ServeHTTP(w, r)
		runtime.ReadMemStats(&after)
		if w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d %s", c.claim, w.Code, w.Body)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
			t.Errorf("%s: %d MiB were allocated", c.claim, grown>>20)
		} else {
			t.Logf("%s: %d KiB allocated", c.claim, grown>>10)
		}
	}
	if n := h.inFlight.Load(); n != 0 || len(h.log.stored()) != 0 {
		t.Errorf("%d bytes are still held, %d events stored", n, len(h.log.stored()))
	}
}

// Who announces much and sends little takes nothing from others.
func TestAnAnnouncedBodyHoldsNoMoreThanWhatHasCome(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Hooks, c.MaxInFlightBytes = &scripted{answer: &HookAnswer{}}, 8<<20 })
	url, _ := start(t, h)
	const slow = 100
	for range slow {
		fmt.Fprintf(dial(t, url), "POST /v1/hooks/zendesk/acme HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n{", 4<<20)
	}
	for h.inFlight.Load() < slow*firstBytes {
		time.Sleep(time.Millisecond)
	}
	resp, err := http.Post(url+"/v1/events", batched, strings.NewReader("["+strings.Repeat(" ", 1<<20)+event("1")+"]"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Errorf("a batch of 1 MiB got %s while %d clients had announced 4 MiB each", resp.Status, slow)
	}
}

// Two thousand slow clients, more than there are places, one byte a second each: others are served as before, and the slow
// ones are cut off when the time for headers is over, if they have not given way already.
func TestSlowlorisKeepsNobodyOut(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Hooks, c.MaxConnections = &scripted{answer: &HookAnswer{}}, 512 })
	url, _ := start(t, h)
	const slow, asked = 2000, 200
	quiet, _ := slowest(t, url, asked)
	began := time.Now()
	end := make(chan struct{})
	var left sync.WaitGroup
	var mu sync.Mutex
	kept := 0
	for range slow {
		c := dial(t, url)
		left.Go(func() {
			go func() {
				for _, b := range []byte("POST /v1/hooks/zendesk/acme HTTP/1.1\r\nHost: x\r\n") {
					if _, err := c.Write([]byte{b}); err != nil {
						return
					}
					select {
					case <-time.After(time.Second):
					case <-end:
						return
					}
				}
			}()
			c.SetReadDeadline(began.Add(readHeaderTimeout + 15*time.Second))
			if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
				mu.Lock()
				kept++
				mu.Unlock()
			}
		})
	}
	attacked, longest := slowest(t, url, asked)
	t.Logf("99th percentile of %d requests: %v before, %v (%.1f times) under %d slow clients", asked, quiet, attacked, float64(attacked)/float64(quiet), slow)
	if longest > readHeaderTimeout/2 {
		t.Errorf("a client waited %v: others' slowness is its own", longest)
	}
	left.Wait()
	close(end)
	if kept > 0 {
		t.Errorf("%d slow clients kept their connection", kept)
	}
	t.Logf("the last slow client was cut off after %v", time.Since(began).Round(time.Second/10))
}

// slowest sends so many events, each on a connection of its own, and returns the 99th percentile and the longest of the
// times they took.
func slowest(t *testing.T, url string, n int) (p99, longest time.Duration) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{}).DialContext}}
	took := make([]time.Duration, n)
	for i := range took {
		began := time.Now()
		resp, err := client.Post(url+"/v1/events", structured, strings.NewReader(event(strconv.Itoa(i))))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			t.Fatalf("event %d: %s", i, resp.Status)
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[n*99/100], took[n-1]
}

// One machine has as many IPv6 addresses as it likes.
func TestClientsAreToldApartByWhatTheyCannotChoose(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "[::ffff:192.0.2.1]:80": "192.0.2.1", "[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::/64", "[2001:db8:1:2:ffff::1]:9": "2001:db8:1:2::/64",
		"[2001:db8:1:3::1]:9": "2001:db8:1:3::/64", "[fe80::1%eth0]:9": "fe80::/64", "@": "@", "": "",
	} {
		if got := clientOf(remote); got != want {
			t.Errorf("%q is %q, want %q", remote, got, want)
		}
	}
}

// Every answer tells browsers to take nothing of it for a page.
func TestNoAnswerIsAPage(t *testing.T) {
	h := newHouse(t, func(c *Config) {
		c.Hooks = &scripted{answer: &HookAnswer{ContentType: "text/plain", Body: []byte("<script>alert(1)</script>")}}
	})
	for _, c := range [][3]string{{"POST", "/v1/events", event("1")}, {"POST", "/v1/events", "{"}, {"GET", "/livez", ""}, {"GET", "/readyz", ""}, {"GET", "/metrics", ""},
		{"GET", "/nowhere", ""}, {"PUT", "/v1/events", ""}, {"GET", "/v1/hooks/slack/a", ""}, {"POST", "/v1/hooks/slack/../../etc/passwd", ""}} {
		w := h.do(c[0], c[1], c[2], "Content-Type", structured)
		if w.Header().Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "default-src 'none'") ||
			w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Content-Type") == "" || strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			t.Errorf("%s %s: %v", c[0], c[1], w.Header())
		}
	}
}
