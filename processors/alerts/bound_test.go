package alerts_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/processors/alerts"
	"github.com/earshot/earshot/schemas"
)

// pile is a state as a receiver that is away leaves it: n alerts that are over, with quotes, and nobody told of them.
func pile(s *alerts.State, n int) {
	for i := range n {
		at := noon.Add(time.Duration(i-n) * time.Second)
		a := &alerts.Open{Alert: schemas.Alert{ID: fmt.Sprintf("%032x", i), Rule: "Old", Severity: schemas.Warning, Cell: map[string]string{"tenant": fmt.Sprint("t", i%7)},
			RaisedAt: at, ResolvedAt: at.Add(time.Second)}, Paged: true}
		for range 3 {
			a.Quotes = append(a.Quotes, schemas.AlertQuote{Text: strings.Repeat("q", 280), EventID: a.ID})
		}
		s.Alerts[a.ID] = a
		for _, resolved := range []bool{false, true} {
			s.Outbox = append(s.Outbox, alerts.Delivery{Receiver: "pager", Alert: a.ID, Resolved: resolved, At: at, Next: noon.Add(time.Hour), Attempts: 3})
		}
	}
}

// However much waits for a receiver that is away, the next alert is raised, stored and told to the others.
func TestAReceiverThatIsAwaySilencesNobody(t *testing.T) {
	for _, c := range []struct {
		claim    string
		n        int
		from, to int // dead letters
	}{
		{"the quotes are enough", 560, 0, 0},
		{"the oldest deliveries go too", 1000, 1, 1000},
	} {
		t.Run(c.claim, func(t *testing.T) {
			w := newWorld(t)
			w.say(noon, "acme", "c1", "my lawyer", schemas.Neutral)
			w.save()
			s := alerts.NewState()
			pile(s, c.n)
			for len(s.Alerts) > 0 { // as much as fits one message
				document, err := json.Marshal(s)
				if err != nil {
					t.Fatal(err)
				}
				if len(document) < 1<<20-64 {
					if _, err := w.journal().Swap(t.Context(), document, 0, nil); err != nil {
						t.Fatal(err)
					}
					break
				}
				for _, a := range s.Alerts {
					a.Quotes = a.Quotes[:len(a.Quotes)-1]
				}
			}
			rules, err := alerts.ParseRules("test", []byte("rules: [{alert: Lawyer, detector: threshold, where: {words: [lawyer]}}, {alert: Old, detector: threshold, where: {words: [old]}}]"))
			if err != nil {
				t.Fatal(err)
			}
			e := alerts.New(alerts.Config{Rules: rules, Receivers: []string{"chat", "pager"}, Owner: "o", Store: w.store, Journal: w.journal()})
			now := noon.Add(2 * time.Second)
			r, err := e.Step(t.Context(), now)
			if err != nil || len(r.Changes) != 1 || r.LetGo < c.from || r.LetGo > c.to {
				t.Fatalf("%d changes, %d let go of, %v", len(r.Changes), r.LetGo, err)
			}
			told := map[string]bool{}
			for _, o := range w.orders(e, now) {
				told[o.Receiver] = true
			}
			if !told["chat"] || !told["pager"] || !told[alerts.Table] {
				t.Errorf("told of the new alert: %v", told)
			}
			document, _, err := w.journal().Load(t.Context())
			if err != nil || len(document) > 512<<10 {
				t.Errorf("the document has %d bytes, %v", len(document), err)
			}
			st, err := w.js.Stream(t.Context(), schemas.DeadLettersStream)
			if err != nil {
				t.Fatal(err)
			}
			for dead := -1; dead != r.LetGo; time.Sleep(10 * time.Millisecond) { // until the stream has them; the test's time-out ends it
				info, err := st.Info(t.Context())
				if err != nil || int(info.State.Msgs) > r.LetGo {
					t.Fatalf("%+v, want %d dead letters: %v", info, r.LetGo, err)
				}
				dead = int(info.State.Msgs)
			}
			if r, err := e.Step(t.Context(), now.Add(time.Second)); err != nil || r.LetGo != 0 {
				t.Errorf("the next step reports %d again, %v", r.LetGo, err)
			}
		})
	}
}
