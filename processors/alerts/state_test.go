package alerts

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// moment is one evaluation in a story: minutes since its begin, and the level of the cell then.
type moment struct {
	minute int
	level  Level
	window int // minutes; 0: 15
}

func (m moment) finding(r *Rule, cell map[string]string) Finding {
	at := storyAt(m.minute)
	w := time.Duration(m.window) * time.Minute
	if w == 0 {
		w = 15 * time.Minute
	}
	return Finding{Rule: r, Cell: cell, From: at.Add(-w), Verdict: Verdict{Level: m.level, Reason: CountAndShare, Observed: 9, Window: w}}
}

func storyAt(minute int) time.Time { return simStart.Add(time.Duration(minute) * time.Minute) }

// reborn is the state as a process that was killed finds it again.
func reborn(t testing.TB, s *State) *State {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	out := NewState()
	if err := json.Unmarshal(b, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Each story is told twice, the second time with a restart after every moment.
func TestStoriesOfACell(t *testing.T) {
	for _, c := range []struct {
		claim      string
		hold, for_ time.Duration
		story      []moment
		want       string // minute:cause of every change
	}{
		{"calm raises nothing", 15 * time.Minute, 0, []moment{{0, Calm, 0}, {1, Uneasy, 0}, {2, Calm, 0}}, ""},
		{"an alarm is raised at once and once", 15 * time.Minute, 0, []moment{{0, Alarm, 0}, {1, Alarm, 0}, {2, Alarm, 0}}, "0:raised"},
		{"uneasy keeps it open, calm for long enough ends it", 15 * time.Minute, 0,
			[]moment{{0, Alarm, 0}, {10, Uneasy, 0}, {20, Calm, 0}, {24, Uneasy, 0}, {30, Calm, 0}, {38, Calm, 0}, {39, Calm, 0}}, "0:raised 39:resolved"},
		{"flapping at the line is one alert", 15 * time.Minute, 0,
			[]moment{{0, Alarm, 0}, {1, Calm, 0}, {2, Alarm, 0}, {3, Calm, 0}, {14, Alarm, 0}, {28, Calm, 0}, {29, Calm, 0}}, "0:raised 29:resolved"},
		{"for waits, and what passes is forgotten", 0, 5 * time.Minute,
			[]moment{{0, Alarm, 0}, {3, Alarm, 0}, {4, Calm, 0}, {5, Alarm, 0}, {9, Uneasy, 0}, {10, Uneasy, 0}, {11, Alarm, 0}}, "11:raised"},
		{"what was counted before the end raises no second alert", 0, 0,
			[]moment{{0, Alarm, 0}, {10, Calm, 0}, {11, Alarm, 0}, {20, Alarm, 15}, {24, Alarm, 360}}, "0:raised 10:resolved"},
		{"a new spike does", 0, 0, []moment{{0, Alarm, 0}, {10, Calm, 0}, {30, Alarm, 15}}, "0:raised 10:resolved 30:raised"},
		{"a day later the old one is forgotten", 0, 0, []moment{{0, Alarm, 0}, {10, Calm, 0}, {1460, Calm, 0}, {1470, Alarm, 360}}, "0:raised 10:resolved 1470:raised"},
	} {
		for _, restarts := range []bool{false, true} {
			rule := &Rule{Name: "R", Detector: DetectNegativeSpike, For: c.for_, KeepFiringFor: c.hold}
			s := NewState()
			var got []string
			for _, m := range c.story {
				for _, ch := range s.Next(storyAt(m.minute), []*Rule{rule}, []Finding{m.finding(rule, map[string]string{"tenant": "t"})}, []string{"pager"}) {
					got = append(got, fmt.Sprintf("%d:%s", m.minute, ch.Cause))
				}
				if restarts {
					s = reborn(t, s)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s (restarts: %v): %q, want %q", c.claim, restarts, got, c.want)
			}
			told := 0
			for _, d := range s.Outbox {
				if d.Receiver == "pager" {
					told++
				}
			}
			if told != len(got) {
				t.Errorf("%s: %d deliveries for %d changes", c.claim, told, len(got))
			}
		}
	}
}

// A window much longer than the one that raised an alert remembers what is over, and does not keep it open.
func TestLongWindowsDoNotKeepAShortAlertOpen(t *testing.T) {
	rule := &Rule{Name: "R"}
	for _, c := range []struct {
		raised, uneasy time.Duration
		open           bool
	}{{15 * time.Minute, 15 * time.Minute, true}, {15 * time.Minute, time.Hour, true}, {15 * time.Minute, 6 * time.Hour, false},
		{6 * time.Hour, 24 * time.Hour, true}, {time.Hour, 24 * time.Hour, false}} {
		s := NewState()
		cell := map[string]string{"tenant": "t"}
		at := func(minute int, vs ...Verdict) int {
			var f *Finding
			for _, v := range vs {
				f = f.with(rule, cell, v, storyAt(minute).Add(-v.Window))
			}
			s.Next(storyAt(minute), []*Rule{rule}, []Finding{*f}, nil)
			return s.open()
		}
		if at(0, Verdict{Level: Alarm, Window: c.raised}) != 1 {
			t.Fatal("nothing was raised")
		}
		if open := at(1, Verdict{Level: Calm, Window: time.Minute}, Verdict{Level: Uneasy, Window: c.uneasy}); open == 1 != c.open {
			t.Errorf("raised by %v, %v is unusual: %d open, want open: %v", c.raised, c.uneasy, open, c.open)
		}
	}
}

func TestCellsWithoutAReading(t *testing.T) {
	rule, other := &Rule{Name: "R"}, &Rule{Name: "S"}
	cell := map[string]string{"tenant": "t"}
	s := NewState()
	s.Next(storyAt(0), []*Rule{rule}, []Finding{moment{0, Alarm, 0}.finding(rule, cell)}, nil)
	if got := s.Next(storyAt(1), []*Rule{other}, nil, nil); len(got) > 0 || s.open() != 1 {
		t.Errorf("a rule that could not be evaluated lost its alert: %v", got)
	}
	if got := s.Next(storyAt(2), []*Rule{rule}, nil, nil); len(got) != 1 || got[0].Cause != "resolved" {
		t.Errorf("a cell that is silent is not calm: %v", got)
	}
	s.Next(storyAt(60), []*Rule{rule}, []Finding{moment{60, Alarm, 0}.finding(rule, cell)}, []string{"pager"})
	if got := s.Prune(storyAt(61), []*Rule{other}, []string{"pager"}); len(got) != 1 || got[0].Alert.Reason != "rule_removed" {
		t.Errorf("the alert of a rule that was removed stays: %v", got)
	}
}

func TestAnotherGenerationRaisesNothingFromOldCounts(t *testing.T) {
	rule := &Rule{Name: "R"}
	cell := map[string]string{"tenant": "t"}
	s := NewState()
	s.NotBefore = storyAt(0)
	for _, m := range []moment{{1, Alarm, 15}, {14, Alarm, 15}, {16, Alarm, 60}} {
		if got := s.Next(storyAt(m.minute), []*Rule{rule}, []Finding{m.finding(rule, cell)}, nil); len(got) > 0 {
			t.Errorf("minute %d: %v", m.minute, got[0].Cause)
		}
	}
	if got := s.Next(storyAt(16), []*Rule{rule}, []Finding{moment{16, Alarm, 15}.finding(rule, cell)}, nil); len(got) != 1 {
		t.Error("what came after it raises nothing either")
	}
}

func TestAnElementHoldsItsThemesBack(t *testing.T) {
	element := &Rule{Name: "Element", Inhibits: []string{"Theme"}}
	theme := &Rule{Name: "Theme"}
	rules := []*Rule{element, theme}
	service := map[string]string{"tenant": "t", "element": "service"}
	late := map[string]string{"tenant": "t", "element": "service", "theme": "late-delivery"}
	crash := map[string]string{"tenant": "t", "element": "product", "theme": "crash-or-bug"}
	s := NewState()
	told := func() string {
		var out []string
		for _, d := range s.Outbox {
			if d.Receiver == "pager" {
				out = append(out, s.Alerts[d.Alert].Rule+" "+s.Alerts[d.Alert].Cell["element"])
			}
		}
		slices.Sort(out)
		return strings.Join(out, ", ")
	}
	at := func(minute int, cells ...Finding) []Change {
		return s.Next(storyAt(minute), rules, cells, []string{"pager"})
	}
	alarm := moment{level: Alarm}
	at(0, alarm.finding(element, service), alarm.finding(theme, late), alarm.finding(theme, crash))
	if got := told(); got != "Element service, Theme product" {
		t.Fatalf("told of %q, want the element and the theme of the other", got)
	}
	if len(s.Alerts) != 3 {
		t.Fatalf("%d alerts are open, want 3: what is held back is open all the same", len(s.Alerts))
	}
	at(1, alarm.finding(theme, late), alarm.finding(theme, crash))
	if got := told(); !strings.Contains(got, "Theme service") {
		t.Errorf("told of %q: the theme is still held back although its element is calm", got)
	}
}

func TestMutesHoldBackUntilTheyLapse(t *testing.T) {
	rule := &Rule{Name: "R", Severity: "warning", Labels: map[string]string{"team": "care"}}
	for _, c := range []struct {
		claim string
		match map[string]string
		holds bool
	}{
		{"by dimension", map[string]string{"channel": "app"}, true}, {"by name", map[string]string{"alertname": "R"}, true},
		{"by severity and label", map[string]string{"severity": "warning", "team": "care"}, true},
		{"all must agree", map[string]string{"channel": "app", "team": "other"}, false}, {"an empty one matches all", nil, true},
	} {
		s := NewState()
		s.Mutes = []Mute{{ID: "m", Match: c.match, Until: storyAt(10)}}
		f := moment{level: Alarm}.finding(rule, map[string]string{"tenant": "t", "channel": "app"})
		s.Next(storyAt(0), []*Rule{rule}, []Finding{f}, []string{"pager"})
		held := !slices.ContainsFunc(s.Outbox, func(d Delivery) bool { return d.Receiver == "pager" })
		if held != c.holds {
			t.Errorf("%s: held back %v, want %v", c.claim, held, c.holds)
		}
		s.Next(storyAt(11), []*Rule{rule}, []Finding{f}, []string{"pager"})
		if n := len(s.Due(storyAt(11))); n != 2 {
			t.Errorf("%s: after the mute %d deliveries, want the pager's and the table's", c.claim, n)
		}
	}
}

func TestDeliveriesAreRetriedInOrderAndGivenUp(t *testing.T) {
	rule := &Rule{Name: "R"}
	cell := map[string]string{"tenant": "t"}
	s := NewState()
	s.Next(storyAt(0), []*Rule{rule}, []Finding{moment{level: Alarm}.finding(rule, cell)}, []string{"pager"})
	s.Next(storyAt(1), []*Rule{rule}, nil, []string{"pager"})
	now := storyAt(1)
	due := s.Due(now)
	if len(due) != 2 || slices.ContainsFunc(due, func(d Delivery) bool { return d.Resolved }) {
		t.Fatalf("due %+v, want the beginning for the table and the pager, no end yet", due)
	}
	pager := due[slices.IndexFunc(due, func(d Delivery) bool { return d.Receiver == "pager" })]
	key, attempts := pager.Key(), 0
	for ; ; attempts++ {
		dead := s.Delivered(pager, now, errors.New("503"), false)
		if dead != nil {
			if dead.Fault != "503" || dead.Key() != key || now.Sub(dead.At) < Budget {
				t.Errorf("given up: %+v after %v", dead, now.Sub(dead.At))
			}
			break
		}
		for len(s.Due(now)) == 0 || !slices.ContainsFunc(s.Due(now), func(d Delivery) bool { return d.Receiver == "pager" && !d.Resolved }) {
			now = now.Add(time.Second)
		}
		s = reborn(t, s)
	}
	if attempts < 200 || attempts > 400 {
		t.Errorf("%d attempts within a day, want them to thin out to one in five minutes", attempts)
	}
	due = s.Due(now)
	if !slices.ContainsFunc(due, func(d Delivery) bool { return d.Receiver == "pager" && d.Resolved }) {
		t.Errorf("the end is not due after the beginning was given up: %+v", due)
	}
	for _, d := range due {
		if dead := s.Delivered(d, now, errors.New("away"), true); (dead == nil) != (d.Receiver == Table) {
			t.Errorf("a final fault of %s: given up %v", d.Receiver, dead != nil)
		}
	}
	for len(s.Outbox) > 0 {
		s.Delivered(s.Outbox[0], now, nil, false)
	}
	if len(s.Alerts) != 0 {
		t.Errorf("%d alerts are kept although all is told", len(s.Alerts))
	}
}

// Whatever the readings, restarts and rules: one open alert a cell, each begins once and ends at most once, and every end
// was preceded by its beginning.
func FuzzOneOpenAlertACell(f *testing.F) {
	f.Add(uint64(1), uint16(200))
	f.Add(uint64(7), uint16(900))
	f.Fuzz(func(t *testing.T, seed uint64, n uint16) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		rules := []*Rule{{Name: "A", Inhibits: []string{"B"}, KeepFiringFor: 3 * time.Minute}, {Name: "B", For: 2 * time.Minute}}
		s := NewState()
		raised, resolved := map[string]bool{}, map[string]bool{}
		minute := 0
		for range min(n, 500) {
			minute += 1 + rnd.IntN(5)
			var findings []Finding
			for _, r := range rules {
				for cell := range 3 {
					m := moment{minute, Level(rnd.IntN(3)), 1 + rnd.IntN(30)}
					findings = append(findings, m.finding(r, map[string]string{"tenant": "t", "channel": fmt.Sprint(cell)}))
				}
			}
			for _, ch := range s.Next(storyAt(minute), rules, findings, []string{"pager"}) {
				id := ch.Alert.ID
				switch {
				case ch.Cause == "raised" && raised[id], ch.Cause == "resolved" && (resolved[id] || !raised[id]):
					t.Fatalf("minute %d: %s is %s again", minute, id, ch.Cause)
				}
				raised[id] = raised[id] || ch.Cause == "raised"
				resolved[id] = resolved[id] || ch.Cause == "resolved"
			}
			open := map[string]int{}
			for _, a := range s.Alerts {
				if !a.Resolved() {
					open[a.Rule+a.Cell["channel"]]++
				}
			}
			for cell, n := range open {
				if n > 1 {
					t.Fatalf("minute %d: %d alerts are open in %s", minute, n, cell)
				}
			}
			begun := map[string]bool{}
			for _, d := range s.Outbox {
				if d.Resolved && !begun[d.Receiver+d.Alert] {
					t.Fatalf("minute %d: the end of %s is told without its beginning", minute, d.Alert)
				}
				begun[d.Receiver+d.Alert] = true
			}
			if rnd.IntN(4) == 0 {
				s = reborn(t, s)
			}
		}
	})
}
