package erase_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/processors/revise"
	"github.com/earshot/earshot/schemas"
)

// said is one event of a case: what it is called, what it names, and when it was said, in minutes.
type said struct {
	name, of string
	kind     schemas.Kind
	at       int
}

// orders are all orders of n things.
func orders(n int) (out [][]int) {
	if n == 0 {
		return [][]int{nil}
	}
	for _, o := range orders(n - 1) {
		for at := range n {
			out = append(out, slices.Insert(slices.Clone(o), at, n-1))
		}
	}
	return out
}

// What counts in the end follows from what was said, not from the order in which it came in, nor from when changes took
// effect meanwhile: after a deletion nothing, whatever it names and whenever it was made; else the change that was said last.
func TestWhatCountsDoesNotDependOnTheOrderOfArrival(t *testing.T) {
	s := openStores(t)
	first := said{"f", "", schemas.ReviewPublished, 10}
	change, again := said{"a", "f", schemas.FeedbackUpdated, 20}, said{"b", "a", schemas.FeedbackUpdated, 30}
	type story struct {
		said  []said
		want  string // the name of what counts; "": nothing
		order []int
		id    string
	}
	var stories []story
	tell := func(want string, events ...said) {
		for _, o := range orders(len(events)) {
			stories = append(stories, story{events, want, o, fmt.Sprintf("%d-", len(stories))})
		}
	}
	deletion := func(of string, at int) said { return said{"d", of, schemas.FeedbackDeleted, at} }
	for _, of := range []string{"f", "a", "b"} {
		for _, at := range []int{15, 40} { // before or after the last change was made
			tell("", first, change, again, deletion(of, at))
		}
	}
	tell("b", first, change, again)
	tell("a", first, change, said{"b", "a", schemas.FeedbackUpdated, 15})
	tell("b", first, change, said{"b", "f", schemas.FeedbackUpdated, 30})
	tell("", first, said{"d", "f", schemas.FeedbackDeleted, 20}, said{"a", "f", schemas.FeedbackUpdated, 40})
	tell("", said{"a", "b", schemas.FeedbackUpdated, 20}, said{"b", "a", schemas.FeedbackUpdated, 30}, deletion("a", 5)) // a circle
	tell("f", first, said{"d", "none", schemas.FeedbackDeleted, 20})

	rnd := rand.New(rand.NewPCG(7, 17))
	r := revise.New(s.store)
	step := func() {
		t.Helper()
		s.settled()
		if rnd.IntN(2) == 0 {
			r = revise.New(s.store) // another process
		}
		_, err := r.Step(s.ctx, time.Now())
		s.must(err)
	}
	began := time.Now().Add(-time.Hour).UTC().Truncate(time.Millisecond)
	for n := range 4 {
		for i := range stories {
			st := &stories[i]
			if n >= len(st.order) {
				continue
			}
			e := st.said[st.order[n]]
			ref, text := "", "words of "+st.id+e.name
			if e.of != "" {
				ref = "/t#" + st.id + e.of
			}
			if e.kind == schemas.FeedbackDeleted {
				text = ""
			}
			s.must(s.publish(s.ctx, &schemas.Event{ID: st.id + e.name, Source: "/t", Type: e.kind.Type(), Kind: e.kind, Time: began.Add(time.Duration(e.at) * time.Minute), Tenant: "acme",
				Data: schemas.Data{Channel: "review", CustomerID: "ann", Text: text, EventRef: ref}}))
		}
		if n != 1 { // so that two come in together
			step()
		}
	}
	step()
	counting := map[string][]string{}
	for line := range strings.Lines(s.ask("SELECT text FROM feedback_current WHERE text != '' ORDER BY text")) {
		id, name, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "words of "), "-")
		counting[id+"-"] = append(counting[id+"-"], name)
	}
	left := s.ask("SELECT arrayStringConcat(groupArray(text), ' ') FROM feedback WHERE text != ''")
	for _, st := range stories {
		var came []string
		for _, i := range st.order {
			came = append(came, fmt.Sprintf("%s(%s)@%d", st.said[i].name, st.said[i].of, st.said[i].at))
		}
		got := strings.Join(counting[st.id], " ")
		if got != st.want {
			t.Errorf("%s: %s counts, want %s", strings.Join(came, " "), cmp.Or(got, "nothing"), cmp.Or(st.want, "nothing"))
		}
		if st.want == "" && strings.Contains(left+" ", "words of "+st.id) {
			t.Errorf("%s: words are left", strings.Join(came, " "))
		}
	}
	for _, view := range []string{"satisfaction_hourly"} {
		if got, want := s.ask("SELECT sum(events) FROM "+view), s.ask("SELECT count() FROM feedback_current"); got != want {
			t.Errorf("%s counts %s events, want %s", view, got, want)
		}
	}
	if got := s.ask("SELECT count() FROM feedback WHERE kind = 'erased' AND (source != '' OR source_event_id != '' OR customer_key != '' OR event_ref NOT LIKE '@%' OR notEmpty(said_first))"); got != "0" {
		t.Errorf("%s rows that were taken back say whose they were", got)
	}
	s.audited()
}

// A change or deletion by somebody else reaches what was said by no detour, and whoever made a change without effect can take
// it back.
func TestNobodyElseReachesThroughAChange(t *testing.T) {
	s := openStores(t)
	say := func(source, id string, kind schemas.Kind, text, ref string) {
		t.Helper()
		s.must(s.publish(s.ctx, &schemas.Event{ID: id, Source: source, Type: kind.Type(), Kind: kind, Time: time.Now().UTC().Truncate(time.Millisecond), Tenant: "acme",
			Data: schemas.Data{Channel: "support", Text: text, EventRef: ref}}))
	}
	check := func(when, want string) {
		t.Helper()
		s.settled()
		_, err := revise.New(s.store).Step(s.ctx, time.Now())
		s.must(err)
		if got := s.ask("SELECT arrayStringConcat(arraySort(groupArray(text)), ' | ') FROM feedback_current WHERE text != ''"); got != want {
			t.Errorf("%s: %s counts, want %s", when, got, want)
		}
	}
	say("/desk", "1", schemas.FeedbackReceived, "One.", "/desk#9") // refers to something without changing it
	say("/desk", "9", schemas.FeedbackReceived, "Nine.", "")
	say("/desk", "1@a", schemas.FeedbackUpdated, "One and a half.", "/desk#1")
	check("a change of what refers to another", "Nine. | One and a half.")
	say("/other", "x", schemas.FeedbackUpdated, "Not one.", "/desk#1")
	say("/other", "y", schemas.FeedbackDeleted, "", "/desk#1@a")
	check("a change and a deletion from elsewhere", "Nine. | Not one. | One and a half.")
	say("/other", "z", schemas.FeedbackDeleted, "", "/other#x")
	check("its author takes it back", "Nine. | One and a half.")
	say("/desk", "1@gone", schemas.FeedbackDeleted, "", "/desk#1@a")
	check("and the other", "Nine.")
	check("again", "Nine.")
	say("/desk", "1@late", schemas.FeedbackUpdated, "One again.", "/desk#1")
	check("a change of what is gone", "Nine.")
	s.audited()
}

// Something that was changed very often, under long names, is taken back in one step all the same.
func TestManyChangesAreTakenBack(t *testing.T) {
	s := openStores(t)
	const changes = 1500
	long := strings.Repeat("x", 200)
	s.say("ann", long, schemas.ReviewPublished, "One.", "")
	for i := range changes {
		s.say("ann", fmt.Sprintf("%s@%d", long, i), schemas.FeedbackUpdated, "One, again.", "/t#"+long)
	}
	s.settled()
	r := revise.New(s.store)
	marked, err := r.Step(s.ctx, time.Now())
	s.must(err)
	if marked != changes {
		t.Errorf("%d rows count no longer, want %d", marked, changes)
	}
	s.say("ann", "gone", schemas.FeedbackDeleted, "", fmt.Sprintf("/t#%s@%d", long, changes/2))
	s.settled()
	if _, err = r.Step(s.ctx, time.Now()); err != nil {
		t.Fatal(err)
	}
	if got := s.ask("SELECT countIf(text != ''), countIf(kind = 'erased') FROM feedback"); got != fmt.Sprintf("0 %d", changes+1) {
		t.Errorf("rows with words and erased rows: %s", got)
	}
	s.audited()
}
