package schemas

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// received is when an event that is encoded anew is received: late enough for its time.
func receivedFor(e *Event) time.Time {
	if e.Time.After(now) {
		return e.Time
	}
	return now
}

// sameAfterEncoding checks that an accepted event survives both forms of CloudEvents.
func sameAfterEncoding(t *testing.T, e *Event) {
	t.Helper()
	b := AppendStructured(nil, e)
	if len(b) > MaxEventBytes {
		return // escapes made it longer than what came in
	}
	again, ps := DecodeStructured(b, receivedFor(e))
	if ps != nil {
		t.Fatalf("structured: %v\n%s", ps, b)
	}
	if d := cmp.Diff(e, again); d != "" {
		t.Fatalf("structured:\n%s", d)
	}
	again, ps = DecodeBinary(e.HeaderAttributes(), AppendData(nil, &e.Data), receivedFor(e))
	if ps != nil {
		t.Fatalf("binary: %v\n%s", ps, b)
	}
	if d := cmp.Diff(e, again); d != "" {
		t.Fatalf("binary:\n%s", d)
	}
}

func TestEncodeAnEventMadeByHand(t *testing.T) {
	yes, four := true, 4.0
	e := &Event{ID: "1", Source: "/demo", Kind: RatingSubmitted, Tenant: "acme", Time: now, Subject: "c", Correlation: "k", Causation: "/demo#0",
		TraceParent: "00-0-0-00", Data: Data{Channel: "web", Text: "\"<ü>\u2028\n", Number: &four, Boolean: &yes, ConsentAnalytics: &yes, ConsentContact: &yes,
			Metadata: []byte(`{"a":1}`), Attachments: []byte(`[{"uri":"https://x.example/"}]`), Extra: []byte(`{"till":4}`)}}
	b := AppendStructured([]byte("before "), e)
	if string(b[:7]) != "before " {
		t.Fatalf("what was there is gone: %s", b)
	}
	got, ps := DecodeStructured(b[7:], now)
	if ps != nil {
		t.Fatal(ps)
	}
	e.Type = "rating.submitted.v1" // taken from the kind
	if d := cmp.Diff(e, got); d != "" {
		t.Error(d)
	}
}

func TestEncodeDataWithUnknownMembersOnly(t *testing.T) {
	for want, data := range map[string]Data{`{}`: {}, `{"till":4}`: {Extra: []byte(`{"till":4}`)}} {
		if got := string(AppendData(nil, &data)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestAppendBinary(t *testing.T) {
	for _, c := range []struct {
		claim string
		attrs Attributes
		data  string
		want  string
	}{
		{"attributes in order, data byte for byte", Attributes{"id": "1", "a": "\""}, " {\"x\" :1.0}\n", `{"a":"\"","id":"1","data":{"x" :1.0}}`},
		{"no data", Attributes{"id": "1"}, " ", `{"id":"1"}`},
		{"no attributes", nil, "{}", `{"data":{}}`},
		{"an attribute cannot stand in for data", Attributes{"data": "x", "data_base64": "y", "id": "1"}, "{}", `{"id":"1","data":{}}`},
	} {
		if got := string(AppendBinary(nil, c.attrs, []byte(c.data))); got != c.want {
			t.Errorf("%s: %s, want %s", c.claim, got, c.want)
		}
	}
}
