package channels

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// received is when every sample arrives.
var received = time.Date(2026, 11, 23, 10, 0, 5, 0, time.UTC)

// sample is one body that a channel sends.
type sample struct {
	channel, name, file string
	d                   *Delivery
	adapt               Adapter
}

func samples(t testing.TB) []sample {
	t.Helper()
	files, err := filepath.Glob("testdata/samples/*/*")
	if err != nil {
		t.Fatal(err)
	}
	var list []sample
	for _, file := range files {
		ext := filepath.Ext(file)
		if slices.Contains([]string{".golden", ".headers", ".mapping"}, ext) {
			continue
		}
		s := sample{channel: filepath.Base(filepath.Dir(file)), name: strings.TrimSuffix(filepath.Base(file), ext), file: strings.TrimSuffix(file, ext)}
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s.d = &Delivery{Channel: s.channel, Source: "acme", Tenant: "acme", Header: http.Header{}, Body: body, Received: received}
		if b, err := os.ReadFile(s.file + ".headers"); err == nil {
			var h map[string]string
			if err := json.Unmarshal(b, &h); err != nil {
				t.Fatalf("%s.headers: %v", s.file, err)
			}
			for k, v := range h {
				s.d.Header.Set(k, v)
			}
		}
		if s.adapt = ForChannel(s.channel); s.adapt == nil {
			s.adapt = mapping(t, s.file+".mapping").Adapter()
		}
		list = append(list, s)
	}
	return list
}

func mapping(t testing.TB, file string) *Mapping {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m, err := ParseMapping(b)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return m
}

// with is the delivery with another body.
func (s *sample) with(body []byte) *Delivery {
	d := *s.d
	d.Body = body
	return &d
}

func TestEverySampleBecomesItsGoldenEvents(t *testing.T) {
	seen := map[string]int{}
	for _, s := range samples(t) {
		seen[s.channel]++
		events, err := s.adapt(s.d)
		if err != nil {
			t.Errorf("%s/%s: %v", s.channel, s.name, err)
			continue
		}
		var got bytes.Buffer
		for i := range events {
			line := keeps(t, s.channel+"/"+s.name, &events[i])
			if err := json.Indent(&got, line, "", " "); err != nil {
				t.Fatal(err)
			}
			got.WriteByte('\n')
		}
		golden := s.file + ".golden"
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != string(want) {
			t.Errorf("%s/%s: found\n%s\nwant\n%s", s.channel, s.name, &got, want)
		}
	}
	for _, name := range Names() {
		if seen[name] == 0 {
			t.Errorf("the channel %s has no sample", name)
		}
	}
}

// keeps holds an event against the contract and returns it encoded.
func keeps(t testing.TB, where string, e *schemas.Event) []byte {
	t.Helper()
	b := schemas.AppendStructured(nil, e)
	if _, ps := schemas.DecodeStructured(b, received); len(ps) > 0 {
		t.Errorf("%s: the event does not keep the contract: %v\n%.500s", where, ps, b)
	}
	return b
}

// survives runs an adapter on a hostile body: it may find events that keep the contract, or say ErrPayload, nothing else.
func survives(t testing.TB, s *sample, what string, body []byte) []schemas.Event {
	t.Helper()
	where := fmt.Sprintf("%s/%s, %s", s.channel, s.name, what)
	defer func() {
		if v := recover(); v != nil {
			t.Errorf("%s: panics: %v", where, v)
		}
	}()
	events, err := s.adapt(s.with(body))
	if err != nil && !errors.Is(err, ErrPayload) {
		t.Errorf("%s: the error is not ErrPayload: %v", where, err)
	}
	for i := range events {
		keeps(t, where, &events[i])
		if e := &events[i]; e.Tenant != "acme" || !strings.HasPrefix(e.Source, "/"+s.channel+"/") {
			t.Errorf("%s: the event is of %s, %s", where, e.Tenant, e.Source)
		}
	}
	return events
}

func TestNoCutOffBodyPanics(t *testing.T) {
	for _, s := range samples(t) {
		for n := range s.d.Body {
			survives(t, &s, fmt.Sprintf("cut at %d", n), s.d.Body[:n])
		}
	}
}

// Every value of a JSON sample is replaced by every hostile one, at its place.
func TestNoHostileValuePanics(t *testing.T) {
	deep := strings.Repeat("[", 500) + strings.Repeat("]", 500)
	hostile := []any{nil, true, -1.5, json.Number("1e999"), json.Number("99999999999999999999"), "", "\x00\u202e\ufeff", "=cmd|' /C calc'!A0",
		"<script>alert(1)</script>", "../../etc/passwd", "1970-01-01", []any{}, []any{nil, []any{}}, map[string]any{}, map[string]any{"a": nil}, json.RawMessage(deep)}
	long := strings.Repeat("ж ", schemas.MaxTextLength)
	n := 0
	for _, s := range samples(t) {
		doc, err := ParseRecord(s.d.Body)
		if err != nil {
			continue // not JSON
		}
		places(doc, func(set func(any), old any) {
			if text, ok := old.(string); ok && strings.Contains(text, " ") { // words, of which there can be too many
				hostile = append(hostile, long)
				defer func() { hostile = hostile[:len(hostile)-1] }()
			}
			for i, v := range hostile {
				set(v)
				b, err := json.Marshal(doc)
				if err != nil {
					continue // 1e999 cannot be written
				}
				survives(t, &s, fmt.Sprintf("hostile value %d", i), b)
				n++
			}
			set(old)
		})
	}
	if n < 5000 {
		t.Errorf("only %d hostile bodies", n)
	}
}

// places calls f for every value within a document, with a way to replace it.
func places(v any, f func(set func(any), old any)) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			f(func(y any) { v[k] = y }, x)
			places(x, f)
		}
	case []any:
		for i, x := range v {
			f(func(y any) { v[i] = y }, x)
			places(x, f)
		}
	}
}

// Providers write members in any order and add new ones without notice.
func TestOrderAndUnknownMembersChangeNothing(t *testing.T) {
	for _, s := range samples(t) {
		doc, err := ParseRecord(s.d.Body)
		if err != nil || s.channel == "generic" { // whose ids without one are hashes of the record
			continue
		}
		want, err := s.adapt(s.d)
		if err != nil {
			t.Fatal(err)
		}
		for _, extended := range []bool{false, true} {
			b, err := json.Marshal(reorder(doc, extended)) // json.Marshal sorts the members
			if err != nil {
				t.Fatal(err)
			}
			got := survives(t, &s, "other order", b)
			if !sameEvents(got, want) {
				t.Errorf("%s/%s, extended %v: the events differ", s.channel, s.name, extended)
			}
		}
	}
}

func reorder(v any, extended bool) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			out[k] = reorder(x, extended)
		}
		if extended && len(v) > 0 && !keyed(v) {
			out["zz_new_in_2027"] = map[string]any{"a": []any{1, "b"}}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = reorder(v[i], extended)
		}
		return out
	}
	return v
}

// keyed holds for objects whose names are data: answers by question, ratings by question.
func keyed(v map[string]any) bool {
	for k, x := range v {
		if inner, ok := x.(map[string]any); ok && inner["questionId"] == k {
			return true
		}
	}
	for _, name := range []string{"csat", "default_question", "default", "userId", "user_id"} {
		if _, ok := v[name]; ok {
			return true
		}
	}
	return false
}

func sameEvents(a, b []schemas.Event) bool {
	return slices.EqualFunc(a, b, func(x, y schemas.Event) bool {
		return bytes.Equal(schemas.AppendStructured(nil, &x), schemas.AppendStructured(nil, &y))
	})
}

// What a provider delivers twice is the same events, whatever the time.
func TestWhatIsDeliveredAgainIsTheSameEvents(t *testing.T) {
	for _, s := range samples(t) {
		a, err := s.adapt(s.d)
		if err != nil {
			t.Fatal(err)
		}
		again := *s.d
		again.Received = received.Add(5 * time.Minute)
		b, err := s.adapt(&again)
		if err != nil || len(a) != len(b) {
			t.Fatalf("%s/%s: %d events, then %d, %v", s.channel, s.name, len(a), len(b), err)
		}
		ids := map[schemas.EventID]bool{}
		for i := range a {
			if a[i].Identity() != b[i].Identity() {
				t.Errorf("%s/%s: event %d has another identity the second time", s.channel, s.name, i)
			}
			if ids[a[i].Identity()] {
				t.Errorf("%s/%s: two events have one identity", s.channel, s.name)
			}
			ids[a[i].Identity()] = true
		}
	}
}

func TestBodiesOfEveryKindOfNonsense(t *testing.T) {
	bodies := map[string][]byte{"nothing": nil, "white space": []byte(" \n"), "null": []byte("null"), "a string": []byte(`"x"`), "a number": []byte("1"),
		"a list": []byte("[]"), "a list of nulls": []byte("[null,null]"), "an object": []byte("{}"), "deep": []byte(strings.Repeat(`{"a":`, 20_000)),
		"deep lists": []byte(strings.Repeat(`[`, 200_000)), "not UTF-8": {0xff, 0xfe, 0x00}, "a byte order mark": []byte("\xef\xbb\xbf{}"), "NULs": make([]byte, 5000),
		"tags without end":  []byte(`{"post":{"id":1,"post_type":1,"cooked":"` + strings.Repeat("<a ", 50_000) + `"}}`),
		"parts without end": []byte("Content-Type: multipart/mixed; boundary=a\r\n\r\n" + strings.Repeat("--a\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n", 5000)),
		"form of many":      []byte(strings.Repeat("a=b&", 50_000)), "percent": []byte("%zz=%"), "boundary": []byte("--x\r\n\r\n--x--")}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 50 {
		b := make([]byte, 1+random.IntN(400))
		for j := range b {
			b[j] = byte(random.Uint32())
		}
		bodies[fmt.Sprintf("noise %d", i)] = b
	}
	done := map[string]bool{}
	for _, s := range samples(t) {
		if done[s.channel] {
			continue
		}
		done[s.channel] = true
		for what, b := range bodies {
			survives(t, &s, what, b)
		}
	}
}
