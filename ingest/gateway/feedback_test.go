package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/earshot/earshot/schemas"
)

func ptr[T any](v T) *T { return &v }

const form1 = "application/x-www-form-urlencoded"

func TestFeedbackBecomesAnEvent(t *testing.T) {
	for _, c := range []struct {
		claim, media, body string
		want               schemas.Event // without Type, which follows from Kind, and without what all have
	}{
		{"words", "application/json", `{"id":"1","text":"Too slow"}`,
			schemas.Event{Kind: schemas.FeedbackReceived, Data: schemas.Data{Channel: "other", Text: "Too slow"}}},
		{"the three fields", "application/json", `{"id":"1","channel":"web","text":"Too slow","rating":2}`,
			schemas.Event{Kind: schemas.FeedbackReceived, Data: schemas.Data{Channel: "web", Text: "Too slow", FieldType: "rating",
				Number: ptr(2.0), ScaleMin: ptr(1.0), ScaleMax: ptr(5.0)}}},
		{"a rating alone is on 1 to 5", "application/json", `{"id":"1","rating":5}`,
			schemas.Event{Kind: schemas.RatingSubmitted, Data: schemas.Data{Channel: "other", FieldType: "rating", Number: ptr(5.0), ScaleMin: ptr(1.0), ScaleMax: ptr(5.0)}}},
		{"an NPS answer is on 0 to 10", "application/json", `{"id":"1","rating":9,"field_type":"nps"}`,
			schemas.Event{Kind: schemas.RatingSubmitted, Data: schemas.Data{Channel: "other", FieldType: "nps", Number: ptr(9.0), ScaleMin: ptr(0.0), ScaleMax: ptr(10.0)}}},
		{"a CES answer is on 1 to 7", "application/json", `{"id":"1","rating":7,"field_type":"ces"}`,
			schemas.Event{Kind: schemas.RatingSubmitted, Data: schemas.Data{Channel: "other", FieldType: "ces", Number: ptr(7.0), ScaleMin: ptr(1.0), ScaleMax: ptr(7.0)}}},
		{"a number that is no rating has no scale", "application/json", `{"id":"1","rating":70,"field_type":"number"}`,
			schemas.Event{Kind: schemas.RatingSubmitted, Data: schemas.Data{Channel: "other", FieldType: "number", Number: ptr(70.0)}}},
		{"a scale that is given stays", "application/json", `{"id":"1","rating":7,"scale_max":10}`,
			schemas.Event{Kind: schemas.RatingSubmitted, Data: schemas.Data{Channel: "other", Number: ptr(7.0), ScaleMax: ptr(10.0)}}},
		{"short names", "application/json", `{"id":"1","text":"a","tenant":"acme","customer":"c","product":"p","question":"q","time":"2026-01-02T03:04:05Z","source":"/kiosk"}`,
			schemas.Event{Kind: schemas.FeedbackReceived, Tenant: "acme", Source: "/kiosk", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
				Data: schemas.Data{Channel: "other", Text: "a", CustomerID: "c", ProductID: "p", QuestionText: "q"}}},
		{"the contract's own names", "application/json", `{"id":"1","value_text":"a","value_number":3,"tenantid":"acme","customer_id":"c","metadata":{"till":4},"order_id":"o","case_id":"k","uri":"https://x.example/1"}`,
			schemas.Event{Kind: schemas.FeedbackReceived, Tenant: "acme", Data: schemas.Data{Channel: "other", Text: "a", FieldType: "rating", Number: ptr(3.0),
				ScaleMin: ptr(1.0), ScaleMax: ptr(5.0), CustomerID: "c", OrderID: "o", CaseID: "k", URI: "https://x.example/1", Metadata: []byte(`{"till":4}`)}}},
		{"null and nothing are not given", "application/json", `{"id":"1","text":"a","language":"","rating":null}`,
			schemas.Event{Kind: schemas.FeedbackReceived, Data: schemas.Data{Channel: "other", Text: "a"}}},
		{"a form", form1, `id=1&channel=store&text=Friendly+%C3%BC&rating=4&metadata=%7B%22till%22%3A4%7D`,
			schemas.Event{Kind: schemas.FeedbackReceived, Data: schemas.Data{Channel: "store", Text: "Friendly ü", FieldType: "rating", Number: ptr(4.0),
				ScaleMin: ptr(1.0), ScaleMax: ptr(5.0), Metadata: []byte(`{"till":4}`)}}},
		{"digits in a form's text are text", form1, `id=1&text=12`,
			schemas.Event{Kind: schemas.FeedbackReceived, Data: schemas.Data{Channel: "other", Text: "12"}}},
		{"plain text", "text/plain; charset=utf-8", "It \"works\"\nnow",
			schemas.Event{Kind: schemas.FeedbackReceived, Data: schemas.Data{Channel: "other", Text: "It \"works\"\nnow"}}},
	} {
		t.Run(c.claim, func(t *testing.T) {
			h := newHouse(t, nil)
			w := h.do("POST", "/v1/feedback", c.body, "Content-Type", c.media, "Idempotency-Key", "1")
			if w.Code != 202 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			m := h.log.stored()[0]
			e, ps := schemas.DecodeStructured(m.Data, clock)
			if ps != nil {
				t.Fatal(ps)
			}
			want := c.want
			want.ID, want.Type = "1", want.Kind.Type()
			if want.Tenant == "" {
				want.Tenant = "default"
			}
			if want.Source == "" {
				want.Source = "/v1/feedback"
			}
			if want.Time.IsZero() {
				want.Time = clock
			}
			if d := cmp.Diff(&want, e); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestFeedbackRefused(t *testing.T) {
	for _, c := range []struct {
		claim, media, body string
		status             int
		faults             string
	}{
		{"neither words nor rating", "application/json", `{"channel":"web"}`, 422, "text schema_mismatch"},
		{"an empty text is none", "application/json", `{"text":""}`, 422, "text schema_mismatch"},
		{"nothing as plain text", "text/plain", " \n", 422, "text schema_mismatch"},
		{"an unknown name, and every other fault", "application/json", `{"text":"a","ratng":4,"channel":"pigeon","tenant":7}`, 422,
			"ratng schema_mismatch; tenant schema_mismatch; channel schema_mismatch"},
		{"one thing under two names", "application/json", `{"text":"a","value_text":"b"}`, 422, "value_text schema_mismatch"},
		{"one name twice", "application/json", `{"text":"a","text":"b"}`, 400, " parse_error"},
		{"one name twice in a form", form1, `text=a&text=b`, 422, "text schema_mismatch"},
		{"a rating in quotes", "application/json", `{"rating":"4"}`, 422, "rating schema_mismatch"},
		{"a rating off its scale", "application/json", `{"rating":6}`, 422, "rating schema_mismatch"},
		{"a word as rating in a form", form1, `rating=good`, 422, "rating schema_mismatch"},
		{"a future time", "application/json", `{"text":"a","time":"2027-01-01T00:00:00Z"}`, 422, "time schema_mismatch"},
		{"too long a text", "application/json", `{"text":"` + strings.Repeat("ü", 30_001) + `"}`, 422, "text too_large"},
		{"an array", "application/json", `[{"text":"a"}]`, 422, " schema_mismatch"},
		{"broken JSON", "application/json", `{"text":"a"`, 400, " parse_error"},
		{"a form with a broken escape", form1, `text=%zz`, 400, " parse_error"},
		{"a form that is not UTF-8", form1, `text=%FF`, 400, "text parse_error; text schema_mismatch"},
		{"plain text that is not UTF-8", "text/plain", "caf\xe9", 400, "text parse_error"},
		{"a NUL", "text/plain", "a\x00b", 422, "text schema_mismatch"},
		{"too large a body", "text/plain", strings.Repeat("a", schemas.MaxEventBytes+1), 413, " too_large"},
		{"a CloudEvent", structured, event("1"), 415, ""},
	} {
		t.Run(c.claim, func(t *testing.T) {
			h := newHouse(t, nil)
			w := h.do("POST", "/v1/feedback", c.body, "Content-Type", c.media)
			a := read(t, w)
			var got []string
			for _, p := range a.Problems {
				got = append(got, p.Field+" "+string(p.Reason))
			}
			if s := strings.Join(got, "; "); w.Code != c.status || s != c.faults {
				t.Errorf("%d %q, want %d %q: %s", w.Code, s, c.status, c.faults, w.Body)
			}
			if len(h.log.stored()) != 0 {
				t.Error("something was stored")
			}
		})
	}
}

func TestAnUnknownNameIsAnsweredWithTheKnownOnes(t *testing.T) {
	h := newHouse(t, nil)
	a := read(t, h.do("POST", "/v1/feedback", `{"txt":"a","text":"b"}`, "Content-Type", "application/json"))
	for _, name := range []string{"text", "rating", "channel", "tenant", "value_text", "metadata", "scale_max"} {
		if len(a.Problems) != 1 || !strings.Contains(a.Problems[0].Bound, name) {
			t.Errorf("%s is not named: %+v", name, a.Problems)
		}
	}
}

func TestFeedbackIsKnownByItsIDElseByTheIdempotencyKeyElseByANewUUID(t *testing.T) {
	h := newHouse(t, nil)
	post := func(body string, headers ...string) (string, string) {
		t.Helper()
		a := read(t, h.do("POST", "/v1/feedback", body, append(headers, "Content-Type", "application/json")...))
		if a.Accepted != 1 || len(a.IDs) != 1 || len(a.EventIDs) != 1 {
			t.Fatalf("%+v", a)
		}
		return a.IDs[0], a.EventIDs[0]
	}
	if id, _ := post(`{"id":"mine","text":"a"}`, "Idempotency-Key", "key"); id != "mine" {
		t.Errorf("the id is %q", id)
	}
	first, event1 := post(`{"text":"a"}`, "Idempotency-Key", `"key-1"`)
	again, event2 := post(`{"text":"a"}`, "Idempotency-Key", "key-1")
	if first != "key-1" || again != "key-1" || event1 != event2 {
		t.Errorf("a retry with the same key is %q %s after %q %s", again, event2, first, event1)
	}
	new1, _ := post(`{"text":"a"}`)
	new2, _ := post(`{"text":"a"}`)
	u, err := uuid.Parse(new1)
	if err != nil || u.Version() != 7 || new1 == new2 {
		t.Errorf("made-up ids are %q and %q: %v", new1, new2, err)
	}
	long := strings.Repeat("k", 256)
	if a := read(t, h.do("POST", "/v1/feedback", `{"text":"a"}`, "Content-Type", "application/json", "Idempotency-Key", long)); a.Status != 422 || a.Problems[0].Field != "id" {
		t.Errorf("a key over the bound of ids: %+v", a)
	}
}

func TestEveryFieldOfTheContractIsANameOfTheForm(t *testing.T) {
	h := newHouse(t, nil)
	for _, f := range schemas.Fields() {
		v := map[string]string{"string": `""`, "number": "null", "boolean": "null", "object": "null", "array": "null"}[f.Type]
		w := h.do("POST", "/v1/feedback", fmt.Sprintf(`{"text":"a","%s":%s}`, f.Name, v), "Content-Type", "application/json")
		if want := 202; w.Code != want && f.Name != "value_text" {
			t.Errorf("%s: %d %s", f.Name, w.Code, w.Body)
		}
	}
}
