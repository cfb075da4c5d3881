package schemas

import (
	"math"
	"strings"
	"testing"
	"time"
)

// Whatever an adapter puts into an event, the event fits the contract afterwards, or is not complete.
func TestWhatIsMadeToFitKeepsTheContract(t *testing.T) {
	received := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	hostile := []string{"", "a", "\x00", "a\x00b", "\xff\xfe", strings.Repeat("x", 300), strings.Repeat("ж", MaxTextLength+7), "1\n2\x1b[31m", "http://x", "javascript:alert(1)", "2026-11-23", "csat", "🙂"}
	numbers := []float64{0, -1, 1e300, math.NaN(), math.Inf(1), 5, 1000, -1e15}
	for i, s := range hostile {
		for j, x := range numbers {
			e := Event{ID: "i" + s, Source: "/c/" + s, Kind: FeedbackReceived, Tenant: "t" + s, Subject: s, Correlation: s,
				Causation: s, TraceParent: s, Time: time.Unix(int64(x), 0)}
			for k := range fields {
				f := &fields[k]
				if f.text != nil {
					*f.text(&e.Data) = hostile[(i+k)%len(hostile)]
				}
				if f.number != nil {
					v := numbers[(j+k)%len(numbers)]
					*f.number(&e.Data) = &v
				}
			}
			e.Data.Text = "w" + s
			e.Data.Metadata = []byte(`{"a":` + strings.Repeat("[", j*10) + strings.Repeat("]", j*10) + `}`)
			e.Fit(received)
			got, ps := DecodeStructured(AppendStructured(nil, &e), received)
			if len(ps) > 0 {
				t.Fatalf("hostile %d, number %d: %v", i, j, ps)
			}
			if !got.Complete() {
				t.Fatalf("hostile %d, number %d: not complete", i, j)
			}
		}
	}
}

func TestFitSaysWhatItCuts(t *testing.T) {
	received := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	e := Event{ID: "1", Source: "/x", Kind: FeedbackReceived, Tenant: "t", Time: received, Data: Data{Text: strings.Repeat("ж", MaxTextLength+1)}}
	if !e.Fit(received) || len([]rune(e.Data.Text)) != MaxTextLength {
		t.Error("a long text is cut at the limit, and Fit says so")
	}
	e.Data.Text, e.Data.FieldLabel = "short", strings.Repeat("x", 2000)
	if e.Fit(received) {
		t.Error("a long label is no lost word of the customer")
	}
	a, b := Event{ID: strings.Repeat("a", 400) + "1"}, Event{ID: strings.Repeat("a", 400) + "2"}
	a.Fit(received)
	b.Fit(received)
	if a.ID == b.ID {
		t.Error("two long ids became one")
	}
}

func TestCompleteAsksForWhatTheKindRequires(t *testing.T) {
	one := 1.0
	for _, c := range []struct {
		e    Event
		want bool
	}{
		{Event{Kind: FeedbackReceived}, false}, {Event{Kind: FeedbackReceived, Data: Data{Text: "x"}}, true},
		{Event{Kind: ReviewPublished}, false}, {Event{Kind: ReviewPublished, Data: Data{Number: &one}}, true},
		{Event{Kind: "none", Data: Data{Text: "x"}}, false},
	} {
		if got := c.e.Complete(); got != c.want {
			t.Errorf("%s %+v: %v", c.e.Kind, c.e.Data, got)
		}
	}
}

func TestSetReadsTextAsItsFieldWantsIt(t *testing.T) {
	for _, c := range []struct {
		name, value string
		ok          bool
	}{
		{"value_number", " 4.5 ", true}, {"value_number", "four", false}, {"value_number", "1e999", false}, {"value_number", "NaN", false},
		{"value_boolean", "TRUE", true}, {"value_boolean", "maybe", false}, {"channel", "review", true}, {"channel", "kiosk", false},
		{"stage_hint", "after_sale", true}, {"value_text", "", true}, {"metadata", "{}", false}, {"nonsense", "1", false},
		{"uri", "ftp://x", false}, {"customer_since", "2026-01-02", true},
	} {
		var d Data
		if p := d.Set(c.name, c.value); (p == nil) != c.ok {
			t.Errorf("%s = %q: %v", c.name, c.value, p)
		}
	}
}
