package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// What the built-in classifier is unsure of is asked of a model elsewhere, whose name is then on the row; while that fails,
// every event is stored all the same, with the built-in labels.
func TestAModelElsewhereIsAskedAboutUnsureTexts(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	var asked atomic.Int64
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Texts []struct {
				ID   int    `json:"id"`
				Text string `json:"text"`
			} `json:"texts"`
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || r.Header.Get("Authorization") != "Bearer s3cret" {
			t.Errorf("a request with key %q: %v", r.Header.Get("Authorization"), err)
		}
		asked.Add(int64(len(q.Texts)))
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		var labels []string
		for _, x := range q.Texts {
			labels = append(labels, fmt.Sprintf(`{"id":%d,"probabilities":{"negative":1,"neutral":0,"positive":0},"intent":"complaint"}`, x.ID))
		}
		fmt.Fprintf(w, `{"model":"own-7","labels":[%s]}`, strings.Join(labels, ","))
	}))
	defer model.Close()
	dir := dataFolder(t)
	up := startUp(t, dir, "EARSHOT_CLASSIFIER_URL="+model.URL, "EARSHOT_CLASSIFIER_KEY=s3cret")
	send := func(prefix string) {
		t.Helper()
		var list []string
		for i := range 20 {
			list = append(list, event(fmt.Sprint(prefix, "u", i), fmt.Sprint("the flurb came on a tuesday with grommet ", i)),
				event(fmt.Sprint(prefix, "s", i), fmt.Sprint("Terrible, awful, broken rubbish, I hate it. ", i)))
		}
		if code, body, err := post(up.Gateway+"/v1/events", batchType, []byte("["+strings.Join(list, ",")+"]")); err != nil || code != http.StatusAccepted {
			t.Fatalf("events: %d %s %v", code, body, err)
		}
		if b := reconciled(t, dir); !b.Exact {
			t.Fatalf("reconcile says %+v", b)
		}
	}
	const models = "SELECT if(startsWith(model, 'own-7/'), 'own', 'built-in'), count(), countIf(polarity = 'negative' AND sentiment_text = 'negative'), countIf(position(text, 'flurb') > 0) FROM feedback GROUP BY 1 ORDER BY 1"
	send("a")
	if got := ask(t, dir, models); got != "built-in\t20\t20\t0\nown\t20\t20\t20" {
		t.Errorf("who labelled:\n%s", got)
	}
	if asked.Load() != 20 {
		t.Errorf("%d texts were sent, want the 20 unsure ones", asked.Load())
	}
	broken.Store(true)
	send("b")
	if got := ask(t, dir, models); !strings.HasPrefix(got, "built-in\t60\t") || !strings.HasSuffix(got, "own\t20\t20\t20") {
		t.Errorf("who labelled when the model failed:\n%s", got)
	}
	broken.Store(false)
	up.stop()
}
