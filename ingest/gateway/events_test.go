package gateway

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"

	"github.com/earshot/earshot/schemas"
)

func zip(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.String()
}

// ce is a good event in binary mode as headers; more are appended.
func ce(more ...string) []string {
	return append([]string{"Content-Type", "application/json", "ce-specversion", "1.0", "ce-id", "b1", "ce-source", "/shop",
		"ce-type", "feedback.received.v1", "ce-time", "2026-11-20T08:31:07Z", "ce-tenantid", "acme"}, more...)
}

func without(headers []string, name string) []string {
	var out []string
	for i := 0; i < len(headers); i += 2 {
		if headers[i] != name {
			out = append(out, headers[i], headers[i+1])
		}
	}
	return out
}

func TestAccepted(t *testing.T) {
	for _, c := range []struct {
		claim, body string
		headers     []string
		ids         []string
		data        []string // of the messages; nil: not compared
	}{
		{"structured", event("1"), []string{"Content-Type", structured}, []string{"1"}, []string{event("1")}},
		{"structured with charset", event("1"), []string{"Content-Type", structured + "; charset=UTF-8"}, []string{"1"}, nil},
		{"an object of plain JSON is an event", event("1"), []string{"Content-Type", "application/json"}, []string{"1"}, []string{event("1")}},
		{"an array of plain JSON is a batch", "\n [" + event("1") + "]", []string{"Content-Type", "application/json"}, []string{"1"}, []string{event("1")}},
		{"each element of a batch keeps its bytes", "[" + event("1") + " , " + event("2", `"tenantid"`, ` "tenantid"`) + "]",
			[]string{"Content-Type", batched}, []string{"1", "2"}, []string{event("1"), event("2", `"tenantid"`, ` "tenantid"`)}},
		{"a batch may hold one event twice", "[" + event("1") + "," + event("1") + "]", []string{"Content-Type", batched}, []string{"1", "1"}, nil},
		{"gzip", zip(event("1")), []string{"Content-Type", structured, "Content-Encoding", "gzip"}, []string{"1"}, []string{event("1")}},
		{"gzip in another spelling", zip(event("1")), []string{"Content-Type", structured, "Content-Encoding", "X-GZIP"}, []string{"1"}, nil},
		{"gzip in two members", zip("["+event("1")) + zip(","+event("2")+"]"), []string{"Content-Type", batched, "Content-Encoding", "gzip"}, []string{"1", "2"}, nil},
		{"identity is no encoding", event("1"), []string{"Content-Type", structured, "Content-Encoding", "identity"}, []string{"1"}, nil},
		{"binary", `{"value_text":"ok"}`, ce(), []string{"b1"},
			[]string{`{"datacontenttype":"application/json","id":"b1","source":"/shop","specversion":"1.0","tenantid":"acme","time":"2026-11-20T08:31:07Z","type":"feedback.received.v1","data":{"value_text":"ok"}}`}},
		{"binary keeps the extensions of others", `{"value_text":"ok"}`, ce("ce-Region", "eu"), []string{"b1"},
			[]string{`{"datacontenttype":"application/json","id":"b1","region":"eu","source":"/shop","specversion":"1.0","tenantid":"acme","time":"2026-11-20T08:31:07Z","type":"feedback.received.v1","data":{"value_text":"ok"}}`}},
		{"binary decodes percent", `{"value_text":"ok"}`, append(without(ce(), "ce-id"), "ce-id", "caf%C3%A9%20%22%25"), []string{`café "%`}, nil},
		{"binary takes off quotes", `{"value_text":"ok"}`, append(without(ce(), "ce-id"), "ce-id", `"a \"b\" c"`), []string{`a "b" c`}, nil},
		{"binary without content type is JSON", `{"value_text":"ok"}`, without(ce(), "Content-Type"), []string{"b1"}, nil},
		{"a header ce-data is no data", `{"value_text":"ok"}`, ce("ce-data", "x"), []string{"b1"}, nil},
		{"headers beside a structured event are not read", event("1"), []string{"Content-Type", structured, "ce-id", "2"}, []string{"1"}, nil},
	} {
		t.Run(c.claim, func(t *testing.T) {
			h := newHouse(t, nil)
			w := h.do("POST", "/v1/events", c.body, c.headers...)
			if w.Code != 202 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			a, msgs := read(t, w), h.log.stored()
			if a.Accepted != len(c.ids) || fmt.Sprint(a.IDs) != fmt.Sprint(c.ids) || len(msgs) != len(c.ids) {
				t.Fatalf("accepted %d %q, stored %d; want %q", a.Accepted, a.IDs, len(msgs), c.ids)
			}
			for i, m := range msgs {
				if c.data != nil && string(m.Data) != c.data[i] {
					t.Errorf("message %d is\n%s\nwant\n%s", i, m.Data, c.data[i])
				}
				// What is in the log reads as the event that was answered for, where the log will look for it.
				e, ps := schemas.DecodeRecord(&schemas.Record{Time: clock, Header: m.Header, Data: m.Data})
				if ps != nil {
					t.Fatalf("the log cannot read message %d: %v", i, ps)
				}
				if a.EventIDs[i] != e.Identity().String() || m.Subject != e.LogSubject(m.Shard) || m.Shard != schemas.Shard(e.PartitionKey(), 4) {
					t.Errorf("message %d: id %s, subject %s, shard %d", i, a.EventIDs[i], m.Subject, m.Shard)
				}
				if len(m.Header) != 1 || m.Header["content-type"] != structured {
					t.Errorf("message %d has headers %v", i, m.Header)
				}
			}
		})
	}
}

func TestRefused(t *testing.T) {
	big := strings.Repeat("x", schemas.MaxEventBytes)
	for _, c := range []struct {
		claim, body string
		headers     []string
		status      int
		typ         string
		faults      string // "index field reason" of each, joined by "; "
	}{
		{"an empty body", "", []string{"Content-Type", structured}, 400, typeInvalid, "0  parse_error"},
		{"an empty batch", "[]", []string{"Content-Type", batched}, 422, typeInvalid, "-  schema_mismatch"},
		{"an object as a batch", event("1"), []string{"Content-Type", batched}, 400, typeInvalid, "-  parse_error"},
		{"an array as one event", "[" + event("1") + "]", []string{"Content-Type", structured}, 400, typeInvalid, "0  parse_error"},
		{"broken JSON", `{"specversion":`, []string{"Content-Type", structured}, 400, typeInvalid, "0  parse_error"},
		{"a batch names the element that breaks the JSON", "[" + event("1") + `,{"a":}]`, []string{"Content-Type", batched}, 400, typeInvalid, "1  parse_error"},
		{"a batch that is cut off", "[" + event("1") + ",", []string{"Content-Type", batched}, 400, typeInvalid, "1  parse_error"},
		{"every fault of one event", event("", "/zendesk/acme", "a b", "2026", "year", `"acme"`, `""`), []string{"Content-Type", structured}, 422, typeInvalid,
			"0 id schema_mismatch; 0 source schema_mismatch; 0 time schema_mismatch; 0 tenantid schema_mismatch"},
		{"every fault of every event, and nothing is stored",
			"[" + event("1") + "," + event("") + "," + event("3") + "," + event("4", "support", "pigeon", "08:31", "25:31") + "]",
			[]string{"Content-Type", batched}, 422, typeInvalid, "1 id schema_mismatch; 3 data.channel schema_mismatch; 3 time schema_mismatch"},
		{"too large a text is a fault, not too large a request", event("1", "crushed", strings.Repeat("x", 30_001)), []string{"Content-Type", structured}, 422, typeInvalid, "0 data.value_text too_large"},
		{"an event over its bound", event("1", "crushed", big), []string{"Content-Type", structured}, 413, typeTooLarge, "-  too_large"},
		{"an event over its bound as plain JSON", event("1", "crushed", big), []string{"Content-Type", "application/json"}, 413, typeTooLarge, "0  too_large"},
		{"an event over its bound in a batch", "[" + event("1") + "," + event("1", "crushed", big) + "]", []string{"Content-Type", batched}, 413, typeTooLarge, "1  too_large"},
		{"a binary event that is over the bound only as the log would keep it", `{"value_text":"ok","x":"` + strings.Repeat("x", schemas.MaxEventBytes-60) + `"}`, ce(), 422, typeInvalid, "0 data too_large"},
		{"a batch over its bytes", "[" + strings.Repeat(" ", 4<<20) + "]", []string{"Content-Type", batched}, 413, typeTooLarge, "-  too_large"},
		{"a batch over its events", "[" + strings.Repeat("1,", 5000) + "1]", []string{"Content-Type", batched}, 413, typeTooLarge, "-  too_large"},
		{"gzip that unpacks over the bound", zip(event("1", "crushed", big)), []string{"Content-Type", structured, "Content-Encoding", "gzip"}, 413, typeTooLarge, "-  too_large"},
		{"gzip that is a bomb", zip("[" + strings.Repeat(" ", 3<<20) + "]"), []string{"Content-Type", batched, "Content-Encoding", "gzip"}, 413, typeTooLarge, ""},
		{"gzip that is none", event("1"), []string{"Content-Type", structured, "Content-Encoding", "gzip"}, 400, typeBody, ""},
		{"gzip that is cut off", zip(event("1"))[:40], []string{"Content-Type", structured, "Content-Encoding", "gzip"}, 400, typeBody, ""},
		{"another encoding", event("1"), []string{"Content-Type", structured, "Content-Encoding", "br"}, 415, typeEncoding, ""},
		{"two encodings", event("1"), []string{"Content-Type", structured, "Content-Encoding", "gzip", "Content-Encoding", "gzip"}, 415, typeEncoding, ""},
		{"no content type", event("1"), nil, 415, typeMediaType, ""},
		{"a content type that cannot be read", event("1"), []string{"Content-Type", ";;"}, 415, typeMediaType, ""},
		{"what curl -d sends", event("1"), []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, typeMediaType, ""},
		{"another charset", event("1"), []string{"Content-Type", structured + "; charset=latin1"}, 415, typeMediaType, ""},
		{"another event format", "x", []string{"Content-Type", "application/cloudevents+avro"}, 415, typeMediaType, ""},
		{"binary data that is not JSON", "<a/>", append(without(ce(), "Content-Type"), "Content-Type", "application/xml"), 415, typeMediaType, ""},
		{"binary without an id", `{"value_text":"ok"}`, without(ce(), "ce-id"), 422, typeInvalid, "0 id schema_mismatch"},
		{"binary with an attribute twice", `{"value_text":"ok"}`, ce("ce-id", "b2"), 422, typeInvalid, "0 id schema_mismatch"},
		{"binary with bytes that are not UTF-8", `{"value_text":"ok"}`, append(without(ce(), "ce-id"), "ce-id", "%FF"), 400, typeInvalid, "0 id parse_error"},
		{"binary with broken data", `{"value_text":`, ce(), 400, typeInvalid, "0 data parse_error"},
		{"binary without data", ``, ce(), 422, typeInvalid, "0 data schema_mismatch"},
	} {
		t.Run(c.claim, func(t *testing.T) {
			h := newHouse(t, nil)
			w := h.do("POST", "/v1/events", c.body, c.headers...)
			a := read(t, w)
			if w.Code != c.status || a.Type != c.typ {
				t.Errorf("%d %s, want %d %s", w.Code, a.Type, c.status, c.typ)
			}
			var got []string
			for _, p := range a.Problems {
				at := "-"
				if p.Event != nil {
					at = fmt.Sprint(*p.Event)
				}
				got = append(got, at+" "+p.Field+" "+string(p.Reason))
				if p.Detail == "" || p.Bound == "" {
					t.Errorf("the fault does not say what is wrong and what is allowed: %+v", p)
				}
			}
			if s := strings.Join(got, "; "); s != c.faults {
				t.Errorf("faults %q, want %q: %s", s, c.faults, w.Body)
			}
			if n := len(h.log.stored()); n != 0 {
				t.Errorf("%d messages were stored", n)
			}
			if h.inFlight.Load() != 0 {
				t.Errorf("%d bytes are still held", h.inFlight.Load())
			}
		})
	}
}

func TestAnAnswerWithManyFaultsIsBounded(t *testing.T) {
	h := newHouse(t, nil)
	w := h.do("POST", "/v1/events", "["+strings.Repeat("{},", 3000)+"{}]", "Content-Type", batched)
	a := read(t, w)
	if len(a.Problems) != maxFaults || a.Omitted == 0 || len(a.Problems)+a.Omitted < 3001*6 {
		t.Fatalf("%d faults, %d omitted", len(a.Problems), a.Omitted)
	}
}
