package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/schemas"
)

// stub is a model of somebody's own: it answers as it is told to.
type stub struct {
	*httptest.Server
	asked  atomic.Int64
	mu     sync.Mutex
	bodies []question
	keys   []string
}

func newStub(t *testing.T, answer http.HandlerFunc) *stub {
	t.Helper()
	s := &stub{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		var q question
		if err := json.Unmarshal(body, &q); err != nil {
			t.Errorf("the request is not JSON: %v", err)
		}
		s.mu.Lock()
		s.bodies, s.keys = append(s.bodies, q), append(s.keys, r.Header.Get("Authorization"))
		s.mu.Unlock()
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// says answers every text with the same label.
func says(label string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var q question
		json.NewDecoder(r.Body).Decode(&q)
		var labels []string
		for _, t := range q.Texts {
			labels = append(labels, fmt.Sprintf(`{"id":%d,%s}`, t.ID, label))
		}
		fmt.Fprintf(w, `{"model":"own-1","labels":[%s]}`, strings.Join(labels, ","))
	}
}

const negative = `"probabilities":{"negative":0.75,"neutral":0.25,"positive":0},"intent":"complaint","intent_confidence":0.5,"element":"image","stage":"aftersale"`

var shipped = sync.OnceValues(classify.LoadRules)

func classifier(t *testing.T) *classify.Classifier {
	t.Helper()
	c, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func client(t *testing.T, url string, set func(*Config)) *Client {
	t.Helper()
	cfg := Config{URL: url, Derive: classifier(t).Derive, Registry: prometheus.NewRegistry(), Logger: zerolog.Nop()}
	if set != nil {
		set(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// unsure are texts that the first classifier is unsure of.
func unsure(n int) []worker.Asked {
	out := make([]worker.Asked, n)
	for i := range out {
		out[i] = worker.Asked{Tenant: "acme", Input: classify.Input{Text: fmt.Sprint("Well, text ", i), Kind: schemas.FeedbackReceived},
			Labels: &schemas.Labels{Polarity: schemas.Neutral, SentimentText: schemas.Neutral, Sentiment: schemas.SentimentNeutral, Confidence: 0.4, Quality: schemas.QualityOK,
				Probabilities: [3]float32{0.3, 0.4, 0.3}, Intent: schemas.OtherIntent, Urgency: schemas.UrgencyLow, Model: "linear", Language: "en"}}
	}
	return out
}

func revised(asked []worker.Asked) (n int) {
	for i := range asked {
		if asked[i].Revised {
			n++
		}
	}
	return n
}

func TestAnswersTakeThePlaceOfLabels(t *testing.T) {
	s := newStub(t, says(negative))
	asked := unsure(70)
	rating := schemas.Score{Value: -0.5, Valid: true}
	asked[0].Input = classify.Input{Text: "Hm", Language: "en", Kind: schemas.ReviewPublished, Channel: "app", QuestionText: "How?", StageHint: "sale", ElementHint: schemas.Product, Rating: rating}
	c := client(t, s.URL+"/v1?x=secret", func(c *Config) { c.Key = "k1" })
	c.Revise(t.Context(), asked)
	want := *unsure(1)[0].Labels
	want.Polarity, want.SentimentText, want.Sentiment = schemas.Negative, schemas.Negative, schemas.VeryNegative
	want.Probabilities, want.Confidence, want.Score = [3]float32{0.75, 0.25, 0}, 0.75, -0.75
	want.Intent, want.IntentConfidence, want.Element, want.Stage, want.StageConfidence = schemas.Complaint, 0.5, schemas.Image, schemas.StageAftersale, 1
	want.ResponseNeeded, want.Urgency, want.Model = true, schemas.UrgencyMedium, "own-1"
	for i := range asked {
		w := want
		if i == 0 { // the source's word on the stage stands
			w.Stage, w.StageConfidence = "", 0
		}
		if !asked[i].Revised || !reflect.DeepEqual(*asked[i].Labels, w) {
			t.Fatalf("text %d: %+v, want %+v", i, *asked[i].Labels, w)
		}
	}
	if s.asked.Load() != 3 || s.keys[0] != "Bearer k1" {
		t.Errorf("%d requests with key %q, want 3 of at most 32 texts", s.asked.Load(), s.keys)
	}
	first := text{Tenant: "acme", Text: "Hm", Language: "en", Kind: schemas.ReviewPublished, Channel: "app", Question: "How?", StageHint: "sale", ElementHint: schemas.Product, Rating: &rating.Value}
	found := false
	for _, q := range s.bodies {
		found = found || q.Version == 1 && reflect.DeepEqual(q.Texts[0], first)
	}
	if !found {
		t.Errorf("no request begins with %+v: %+v", first, s.bodies)
	}
	if strings.Contains(c.Name(), "secret") || !strings.HasSuffix(c.Name(), "/v1") {
		t.Errorf("the name is %q", c.Name())
	}
}

func TestOnlyWhatIsUnsureIsSent(t *testing.T) {
	s := newStub(t, says(negative))
	for _, c := range []struct {
		claim  string
		change func(*worker.Asked)
		sent   bool
	}{
		{"an unsure text", func(*worker.Asked) {}, true},
		{"a sure one", func(a *worker.Asked) { a.Labels.Confidence = 0.7 }, false},
		{"no text", func(a *worker.Asked) { a.Input.Text = "" }, false},
		{"spam", func(a *worker.Asked) { a.Labels.Quality = schemas.QualitySpam }, false},
		{"an agent's", func(a *worker.Asked) { a.Input.ActorKind = "agent" }, false},
		{"a very long one", func(a *worker.Asked) { a.Input.Text = strings.Repeat("x", longestText+1) }, false},
	} {
		asked := unsure(1)
		c.change(&asked[0])
		before := s.asked.Load()
		client(t, s.URL, nil).Revise(t.Context(), asked)
		if sent := s.asked.Load() > before; sent != c.sent || asked[0].Revised != c.sent {
			t.Errorf("%s: sent %v, revised %v, want %v", c.claim, sent, asked[0].Revised, c.sent)
		}
	}
}

// Whatever the model does, the labels of the first classifier stand, all of them.
func TestWhatBreaksTheContractChangesNothing(t *testing.T) {
	write := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }
	}
	over := make(chan struct{})
	for _, c := range []struct {
		claim  string
		answer http.HandlerFunc
	}{
		{"too slow", func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-over:
			}
		}},
		{"slow in the midst of the answer", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"model":"own-1","labels":[`)
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
			case <-over:
			}
		}},
		{"500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }},
		{"503 with a right answer", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503); says(negative)(w, r) }},
		{"204", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, `{"model"`)
			panic(http.ErrAbortHandler)
		}},
		{"garbage", write("\x00\xff<html>")},
		{"nothing", write("")},
		{"another shape", write(`["own-1"]`)},
		{"more after its end", write(`{"model":"own-1","labels":[]}{}`)},
		{"no model", write(`{"labels":[{"id":0,` + negative + `}]}`)},
		{"a model with a space", write(`{"model":"own 1","labels":[{"id":0,` + negative + `}]}`)},
		{"oversize", write(`{"model":"own-1","labels":[],"x":"` + strings.Repeat("x", 1<<20) + `"}`)},
		{"no id", write(`{"model":"own-1","labels":[{` + negative + `}]}`)},
		{"an id that was not asked", write(`{"model":"own-1","labels":[{"id":0,` + negative + `},{"id":9,` + negative + `}]}`)},
		{"an id twice", write(`{"model":"own-1","labels":[{"id":0,` + negative + `},{"id":0,` + negative + `}]}`)},
		{"probabilities beyond 1", says(`"probabilities":{"negative":0.9,"neutral":0.9,"positive":0}`)},
		{"a negative probability", says(`"probabilities":{"negative":1.5,"neutral":-0.5,"positive":0}`)},
		{"no number", says(`"probabilities":{"negative":"a lot"}`)},
		{"a number too large", says(`"probabilities":{"negative":1e300,"neutral":0,"positive":0}`)},
		{"an unknown intent", says(`"intent":"rage"`)},
		{"an unknown element", says(`"element":"weather"`)},
		{"an unknown stage", says(`"stage":"later"`)},
		{"a confidence beyond 1", says(`"intent":"praise","intent_confidence":2`)},
	} {
		s := newStub(t, c.answer)
		asked := unsure(3)
		cl := client(t, s.URL, func(c *Config) { c.Timeout = 100 * time.Millisecond })
		cl.Revise(t.Context(), asked)
		if want := unsure(3); !reflect.DeepEqual(asked, want) {
			t.Errorf("%s: %+v", c.claim, *asked[0].Labels)
		}
		if s.asked.Load() != 1 || testutil.ToFloat64(cl.count.WithLabelValues("failed")) != 3 {
			t.Errorf("%s: asked %d times, counted %v failures, want one request and 3 texts", c.claim, s.asked.Load(), testutil.ToFloat64(cl.count.WithLabelValues("failed")))
		}
	}
	close(over)
}

func TestWhatAnAnswerLeavesOutStays(t *testing.T) {
	s := newStub(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"model":"own-2","labels":[{"id":1,"stage":"presale","stage_confidence":0.5}],"new":1}`)
	})
	asked := unsure(3)
	client(t, s.URL, nil).Revise(t.Context(), asked)
	want := unsure(3)
	want[1].Revised = true
	want[1].Labels.Stage, want[1].Labels.StageConfidence, want[1].Labels.Model = schemas.StagePresale, 0.5, "own-2"
	if !reflect.DeepEqual(asked, want) {
		t.Errorf("got %+v %+v %+v", asked[0].Labels, asked[1].Labels, asked[2].Labels)
	}
}

// hang never answers, until the asker is gone or the test is over.
func hang(t *testing.T) http.HandlerFunc {
	over := t.Context()
	return func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-over.Done():
		}
	}
}

// A model that never answers holds a batch up for no longer than the budget, however many texts there are.
func TestTheBudgetEndsTheWaiting(t *testing.T) {
	s := newStub(t, hang(t))
	cl := client(t, s.URL, func(c *Config) { c.Budget, c.Timeout, c.Failures = 150*time.Millisecond, time.Minute, 1000 })
	asked := unsure(2000)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cl.Revise(ctx, asked)
	if ctx.Err() != nil || revised(asked) != 0 || s.asked.Load() > DefaultParallel {
		t.Errorf("waited too long (%v), or %d revised, or %d requests", ctx.Err(), revised(asked), s.asked.Load())
	}
	if cl.stop.failed != DefaultParallel {
		t.Errorf("%d failures, want %d: a request that took all of the budget is one", cl.stop.failed, DefaultParallel)
	}
}

// A model that is slower than the whole budget is left alone like one that fails, though no request ran into its own time-out.
func TestAModelTooSlowForTheBudgetIsLeftAlone(t *testing.T) {
	s := newStub(t, hang(t))
	cl := client(t, s.URL, func(c *Config) {
		c.Budget, c.Timeout, c.Failures, c.Cooldown = 50*time.Millisecond, 50*time.Millisecond, 3, time.Hour
	})
	for range 6 {
		cl.Revise(t.Context(), unsure(1))
	}
	if n := s.asked.Load(); n > 3 || cl.stop.failed != 3 {
		t.Errorf("asked %d times with %d failures, want 3", n, cl.stop.failed)
	}
}

// That the budget was over soon after a request was begun says nothing about the model.
func TestARequestBegunLateIsNoFailure(t *testing.T) {
	t.Parallel()
	var first atomic.Bool
	never := hang(t)
	s := newStub(t, func(w http.ResponseWriter, r *http.Request) {
		if first.CompareAndSwap(false, true) {
			time.Sleep(1200 * time.Millisecond)
			says(negative)(w, r)
			return
		}
		never(w, r)
	})
	cl := client(t, s.URL, func(c *Config) { c.Budget, c.Timeout, c.Batch, c.Parallel = 2*time.Second, time.Minute, 1, 1 })
	asked := unsure(3)
	cl.Revise(t.Context(), asked)
	if n := s.asked.Load(); n != 2 || revised(asked) != 1 || cl.stop.failed != 0 {
		t.Errorf("asked %d times, %d revised, %d failures, want 2, 1 and none", n, revised(asked), cl.stop.failed)
	}
}

// A model that fails is left alone, and asked again later by one request.
func TestAModelThatFailsIsLeftAlone(t *testing.T) {
	var well atomic.Bool
	s := newStub(t, func(w http.ResponseWriter, r *http.Request) {
		if !well.Load() {
			w.WriteHeader(500)
			return
		}
		says(negative)(w, r)
	})
	cl := client(t, s.URL, func(c *Config) { c.Batch, c.Parallel, c.Failures, c.Cooldown = 1, 1, 3, time.Hour })
	asked := unsure(50)
	cl.Revise(t.Context(), asked)
	if s.asked.Load() != 3 || revised(asked) != 0 {
		t.Errorf("asked %d times, want 3", s.asked.Load())
	}
	if n := testutil.ToFloat64(cl.count.WithLabelValues("not_sent")); n != 47 {
		t.Errorf("%v texts were not sent, want 47", n)
	}
	cl.stop.until = time.Time{} // an hour later
	cl.Revise(t.Context(), asked)
	if s.asked.Load() != 4 {
		t.Errorf("asked %d times, want one more", s.asked.Load())
	}
	cl.stop.until = time.Time{}
	well.Store(true)
	cl.Revise(t.Context(), asked)
	if s.asked.Load() != 54 || revised(asked) != 50 {
		t.Errorf("asked %d times and %d revised, want all 50 again", s.asked.Load(), revised(asked))
	}
}

func TestTheBreakerTriesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker{failures: 2, cooldown: time.Minute}
		for i, c := range []struct {
			after time.Duration
			allow bool
			end   string
		}{
			{0, true, "fails"}, {0, true, "works"}, {0, true, "fails"}, {0, true, "fails"}, // two in a row
			{59 * time.Second, false, ""}, {2 * time.Second, true, "goes on"}, {0, false, ""}, {0, false, "fails"},
			{30 * time.Second, false, ""}, {31 * time.Second, true, "is given up"}, {0, true, "works"}, {0, true, "works"}, {0, true, ""},
		} {
			time.Sleep(c.after)
			if got := b.allow(time.Now()); got != c.allow {
				t.Fatalf("step %d: allowed %v, want %v", i, got, c.allow)
			}
			switch c.end {
			case "fails":
				b.done(false, time.Now())
			case "works":
				b.done(true, time.Now())
			case "is given up":
				b.spare()
			}
		}
	})
}

func TestAddressesAreChecked(t *testing.T) {
	for _, u := range []string{"", "host", "ftp://host", "http://", "http://[::1"} {
		if _, err := New(Config{URL: u}); err == nil {
			t.Errorf("%q was taken", u)
		}
	}
}

func FuzzReadAnswer(f *testing.F) {
	f.Add(`{"model":"own-1","labels":[{"id":0,`+negative+`}]}`, 3)
	f.Add(`{"model":"x","labels":[{"id":2,"probabilities":{"negative":1}}]}`, 3)
	f.Fuzz(func(t *testing.T, body string, n int) {
		n = max(1, min(n, 100))
		a, err := readAnswer(strings.NewReader(body), n)
		if err != nil {
			return
		}
		for i := range a.Labels {
			l := unsure(1)[0].Labels
			a.Labels[i].apply(&classify.Input{}, l)
			sum := l.Probabilities[0] + l.Probabilities[1] + l.Probabilities[2]
			if !(l.Confidence >= 0 && l.Confidence <= 1 && sum > 0.99 && sum < 1.01 && l.Score >= -1 && l.Score <= 1) {
				t.Fatalf("labels %+v", l)
			}
		}
	})
}
