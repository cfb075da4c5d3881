package clickhouse_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
)

// needsOf lists what a request is about: the themes it does not praise, else its places, else nothing that has a place.
func needsOf(r *schemas.Row) []string {
	themes, places := map[string]bool{}, map[string]bool{}
	for _, m := range r.Labels.Mentions {
		if m.Theme != "" && m.Polarity <= 0 {
			themes[m.Theme] = true
		}
		places[strings.TrimSuffix(string(m.Element)+"/"+string(m.Facet), "/")] = true
	}
	switch {
	case len(themes) > 0:
		return sortedKeys(themes)
	case len(places) > 0:
		return sortedKeys(places)
	}
	return []string{"unplaced"}
}

func isRequest(r *schemas.Row) bool { return said(r) && r.Labels.Intent == schemas.Request }

// byTime orders rows as the newest-first rules need it: by moment, then by place in the log.
func byTime(a, b *schemas.Row) int {
	return cmp.Or(a.Event.Time.Compare(b.Event.Time), cmp.Compare(a.Seq, b.Seq))
}

// decision is the oracle's state of one theme.
type decision struct {
	state, outcome    string
	at                time.Time
	agreed, disagreed int
}

func decisionOn(rows []schemas.Row, tenant, theme string) (d decision) {
	var newest, made *schemas.Row
	verdicts := map[string]*schemas.Row{}
	for i := range rows {
		r := &rows[i]
		if r.Event.Tenant != tenant || r.Event.Data.ThemeID != theme {
			continue
		}
		switch r.Event.Kind {
		case schemas.DecisionAnswered:
			if old := verdicts[who(r)]; old == nil || byTime(r, old) > 0 {
				verdicts[who(r)] = r
			}
		case schemas.DecisionMade, schemas.DecisionProposed, schemas.ImprovementShipped:
			if r.Event.Kind == schemas.DecisionMade && (made == nil || byTime(r, made) > 0) {
				made = r
			}
			if newest == nil || byTime(r, newest) > 0 {
				newest = r
			}
		}
	}
	d.state = "open"
	if newest != nil {
		d.at = newest.Event.Time
		switch {
		case newest.Event.Kind == schemas.ImprovementShipped:
			d.state = "shipped"
		case newest.Event.Kind == schemas.DecisionProposed:
			d.state = "proposed"
		case newest.Event.Data.Outcome == "decline":
			d.state = "declined"
		default:
			d.state = "decided"
		}
	}
	if made != nil {
		d.outcome = made.Event.Data.Outcome
	}
	for _, r := range verdicts {
		if r.Event.Data.Verdict == "agree" {
			d.agreed++
		} else {
			d.disagreed++
		}
	}
	return d
}

func TestNeedsMatchTheOracle(t *testing.T) {
	for seed := range uint64(2) {
		s := open(t)
		rows := history(20+seed, 1500, historyEnd)
		store(t, s, rows)
		type need struct {
			requests         []*schemas.Row
			customers, since map[string]bool
		}
		want, asking := map[string]*need{}, map[string]map[string]bool{}
		for i := range rows {
			r := &rows[i]
			if !isRequest(r) {
				continue
			}
			if asking[r.Event.Tenant] == nil {
				asking[r.Event.Tenant] = map[string]bool{}
			}
			asking[r.Event.Tenant][who(r)] = true
			for _, n := range needsOf(r) {
				k := r.Event.Tenant + " " + n
				if want[k] == nil {
					want[k] = &need{customers: map[string]bool{}, since: map[string]bool{}}
				}
				want[k].requests = append(want[k].requests, r)
				want[k].customers[who(r)] = true
				if d := decisionOn(rows, r.Event.Tenant, n); d.state != "open" && r.Event.Time.After(d.at) {
					want[k].since[who(r)] = true
				}
			}
		}
		got := ask(t, s, "SELECT * FROM needs")
		if len(got) != len(want) {
			t.Errorf("%d needs, want %d", len(got), len(want))
		}
		for _, row := range got {
			tenant, name := row["tenant"].(string), row["need"].(string)
			k := tenant + " " + name
			w := want[k]
			if w == nil {
				t.Errorf("%s is no need", k)
				continue
			}
			unknown, confidence := map[string]bool{}, 0.0
			best := w.requests[0]
			first, last := best.Event.Time, best.Event.Time
			for _, r := range w.requests {
				if r.CustomerKey == "" {
					unknown[who(r)] = true
				}
				confidence += float64(r.Labels.IntentConfidence)
				if c := cmp.Compare(r.Labels.IntentConfidence, best.Labels.IntentConfidence); c > 0 || c == 0 && byTime(r, best) > 0 {
					best = r
				}
				if r.Event.Time.Before(first) {
					first = r.Event.Time
				}
				if r.Event.Time.After(last) {
					last = r.Event.Time
				}
			}
			n, of := float64(len(w.customers)), float64(len(asking[tenant]))
			low, high := wilson(n, of)
			d := decisionOn(rows, tenant, name)
			for column, x := range map[string]float64{"requests": float64(len(w.requests)), "customers": n, "unknown_customers": float64(len(unknown)), "of_customers": of,
				"share": 100 * n / of, "share_low": low, "share_high": high, "confidence": confidence / float64(len(w.requests)),
				"customers_since": float64(len(w.since)), "agreed": float64(d.agreed), "disagreed": float64(d.disagreed)} {
				closeTo(t, k+" "+column, row[column], x)
			}
			const stamp = "2006-01-02 15:04:05.000"
			same(t, k+" first_seen", row["first_seen"], first.Format(stamp))
			same(t, k+" last_seen", row["last_seen"], last.Format(stamp))
			same(t, k+" state", row["state"], d.state)
			same(t, k+" outcome", row["outcome"], d.outcome)
			same(t, k+" quote", row["quote"], redact(best.Event.Data.Text))
			if d.state == "open" {
				same(t, k+" decided_at", row["decided_at"], nil)
			} else {
				same(t, k+" decided_at", row["decided_at"], d.at.Format(stamp))
			}
		}
		if first := named(t, s, "needs", map[string]string{"tenant": "ghost"}); len(first) == 0 || first[0]["customers"] != first[0]["unknown_customers"] {
			t.Errorf("a tenant that knows nobody: %v", first)
		}
		if one := named(t, s, "needs", map[string]string{"tenant": "solo"}); len(one) == 0 || one[0]["customers"] != 1.0 || one[0]["of_customers"] != 1.0 {
			t.Errorf("a tenant with one customer: %v", one)
		}
	}
}

func wasAsked(r *schemas.Row) bool {
	return r.Event.Kind == schemas.RatingSubmitted || r.Event.Kind == schemas.FollowupRated || r.Event.Data.Channel == "survey"
}

// lists are the two lists of the estimate of silent customers: who rated low when asked, who complained by themselves.
func lists(rows []schemas.Row, tenant string, from, to time.Time) (dissatisfied, both, complainers float64) {
	low, own := map[string]bool{}, map[string]bool{}
	for i := range rows {
		r := &rows[i]
		if r.Event.Tenant != tenant || r.CustomerKey == "" || !said(r) || r.Event.Time.Before(from) || !r.Event.Time.Before(to) {
			continue
		}
		if wasAsked(r) && r.Scores.Rating.Valid && r.Scores.Rating.Value < 0 {
			low[who(r)] = true
		}
		if !wasAsked(r) && (r.Labels.Intent == schemas.Complaint || r.Labels.Intent == schemas.ChurnNotice) {
			own[who(r)] = true
		}
	}
	for k := range low {
		if own[k] {
			both++
		}
	}
	return float64(len(low)), both, float64(len(own))
}

// silentOf estimates how many belong to neither list, from the number on the second only, and the two others.
func silentOf(only, dissatisfied, both float64) (n, low, high float64) {
	if dissatisfied < 20 || both < 5 {
		return math.NaN(), math.NaN(), math.NaN()
	}
	a, b, m := only+0.5, dissatisfied-both+0.5, both+0.5
	half := z * math.Sqrt(1/a+1/b+1/m+m/(a*b))
	return only * (dissatisfied - both) / (both + 1), math.Max(0, a*b/m*math.Exp(-half)-0.5), a*b/m*math.Exp(half) - 0.5
}

func TestThemeGrowthMatchesTheOracle(t *testing.T) {
	for seed := range uint64(2) {
		s := open(t)
		rows := history(30+seed, 2500, historyEnd)
		store(t, s, rows)
		since, before := historyEnd.Add(-30*day), historyEnd.Add(-60*day)
		type theme struct {
			now, before, unknown, unhappy, own map[string]bool
			mentions                           int
			worst                              map[string][]schemas.Mention // by customer, with rows beside
			from                               map[string][]*schemas.Row
		}
		want, heard, heardBefore := map[string]*theme{}, map[string]map[string]bool{}, map[string]map[string]bool{}
		set := func(m map[string]map[string]bool, tenant, who string) {
			if m[tenant] == nil {
				m[tenant] = map[string]bool{}
			}
			m[tenant][who] = true
		}
		for i := range rows {
			r := &rows[i]
			if !said(r) || r.Event.Time.Before(before) || !r.Event.Time.Before(historyEnd) || r.Labels.Polarity == "" {
				continue
			}
			now := !r.Event.Time.Before(since)
			if now {
				set(heard, r.Event.Tenant, who(r))
			} else {
				set(heardBefore, r.Event.Tenant, who(r))
			}
			for _, m := range r.Labels.Mentions {
				if m.Theme == "" {
					continue
				}
				k := r.Event.Tenant + " " + m.Theme
				w := want[k]
				if w == nil {
					w = &theme{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, 0, map[string][]schemas.Mention{}, map[string][]*schemas.Row{}}
					want[k] = w
				}
				if !now {
					w.before[who(r)] = true
					continue
				}
				w.now[who(r)] = true
				w.mentions++
				w.worst[who(r)] = append(w.worst[who(r)], m)
				w.from[who(r)] = append(w.from[who(r)], r)
				if r.CustomerKey == "" {
					w.unknown[who(r)] = true
				}
				if m.Polarity < 0 {
					w.unhappy[who(r)] = true
					if !wasAsked(r) {
						w.own[who(r)] = true
					}
				}
			}
		}
		tested := map[string]float64{}
		for k := range want {
			tested[strings.Fields(k)[0]]++
		}
		got := ask(t, s, "SELECT * FROM theme_growth")
		if len(got) != len(want) {
			t.Errorf("%d themes, want %d", len(got), len(want))
		}
		for _, row := range got {
			tenant := row["tenant"].(string)
			k := fmt.Sprint(tenant, " ", row["theme"])
			w := want[k]
			if w == nil {
				t.Errorf("%s: nobody spoke of it", k)
				continue
			}
			a, n, b, m := float64(len(w.now)), float64(len(heard[tenant])), float64(len(w.before)), float64(len(heardBefore[tenant]))
			ratio := math.Log((a + 0.5) / (n + 0.5) / ((b + 0.5) / (m + 0.5)))
			se := math.Sqrt(math.Max(0, 1/(a+0.5)-1/(n+0.5)+1/(b+0.5)-1/(m+0.5)))
			p := 1.0
			if se > 0 {
				p = math.Erfc(math.Abs(ratio) / se / math.Sqrt2)
			}
			low, high := wilson(a, n)
			d, both, _ := lists(rows, tenant, since, historyEnd)
			quiet, quietLow, quietHigh := silentOf(float64(len(w.own)), d, both)
			for column, x := range map[string]float64{"customers": a, "unknown_customers": float64(len(w.unknown)), "heard": n, "share": 100 * a / n, "share_low": low, "share_high": high,
				"unhappy_customers": float64(len(w.unhappy)), "mentions": float64(w.mentions), "customers_before": b, "heard_before": m,
				"growth": math.Exp(ratio), "growth_low": math.Exp(ratio - z*se), "growth_high": math.Exp(ratio + z*se), "growth_p": p,
				"complained": float64(len(w.own)), "silent": quiet, "silent_low": quietLow, "silent_high": quietHigh} {
				closeTo(t, k+" "+column, row[column], x)
			}
			changed := "not changed"
			if p*tested[tenant] < 0.05 {
				changed = map[bool]string{true: "grew", false: "shrank"}[ratio > 0]
			}
			same(t, k+" changed", row["changed"], changed)
			type quote struct {
				polarity float32
				words    string
			}
			var quotes []quote
			for customer, ms := range w.worst {
				best := 0
				for i := range ms {
					x, y, rx, ry := ms[i], ms[best], w.from[customer][i], w.from[customer][best]
					if cmp.Or(cmp.Compare(x.Polarity, y.Polarity), cmp.Compare(y.Confidence, x.Confidence), cmp.Compare(rx.Seq, ry.Seq), cmp.Compare(x.Start, y.Start)) < 0 {
						best = i
					}
				}
				quotes = append(quotes, quote{ms[best].Polarity, w.from[customer][best].Event.Data.Text[ms[best].Start:ms[best].End]})
			}
			slices.SortFunc(quotes, func(x, y quote) int {
				return cmp.Or(cmp.Compare(x.polarity, y.polarity), cmp.Compare(x.words, y.words))
			})
			for i, q := range row["quotes"].([]any) {
				if i >= len(quotes) || strings.ToValidUTF8(q.(string), "") != redact(quotes[i].words) && !strings.Contains(q.(string), "\ufffd") {
					t.Errorf("%s, quote %d: %q, want %q", k, i, q, redact(quotes[i].words))
				}
			}
			if len(row["quotes"].([]any)) != min(3, len(quotes)) {
				t.Errorf("%s: %d quotes of %d customers", k, len(row["quotes"].([]any)), len(quotes))
			}
		}
		estimated := false
		for _, row := range ask(t, s, "SELECT * FROM silent_customers") {
			d, both, own := lists(rows, row["tenant"].(string), time.Time{}, historyEnd.Add(day))
			n, low, high := silentOf(own-both, d, both)
			plow, phigh := wilson(both, d)
			for column, x := range map[string]float64{"dissatisfied": d, "dissatisfied_who_complained": both, "complainers": own, "silent": n, "silent_low": low, "silent_high": high, "propensity_low": plow, "propensity_high": phigh} {
				closeTo(t, fmt.Sprint(row["tenant"], " ", column), row[column], x)
			}
			estimated = estimated || row["silent"] != nil
			if (row["silent"] == nil) != strings.HasPrefix(row["basis"].(string), "not known: ") {
				t.Errorf("silent %v, basis %v", row["silent"], row["basis"])
			}
		}
		if !estimated {
			t.Error("no tenant has enough customers for an estimate, so none was compared")
		}
	}
}

// A theme that doubles is seen to grow, one that everybody speaks of in both periods is not, and a period without a
// predecessor claims nothing.
func TestThemesTellGrowthFromNoise(t *testing.T) {
	s := open(t)
	var rows []schemas.Row
	say := func(at time.Time, customer int, themes ...string) {
		rows = append(rows, answer("acme", uint64(len(rows)+1), func(r *schemas.Row) {
			r.Event.Time, r.ReceivedAt = at, at
			r.CustomerKey, r.Labels.Polarity, r.Event.Data.Text = fmt.Sprint("k", customer), schemas.Negative, "words"
			for _, theme := range themes {
				r.Labels.Mentions = append(r.Labels.Mentions, schemas.Mention{Element: schemas.Product, Theme: theme, Polarity: -0.5, End: 5})
			}
		}))
	}
	for i := range 200 {
		now, before := []string{"usual"}, []string{"usual"}
		if i < 60 {
			now = append(now, "doubled")
		}
		if i < 30 {
			before = append(before, "doubled")
		}
		if i < 12 {
			now = append(now, "noise")
		}
		if i < 9 {
			before = append(before, "noise")
		}
		say(historyEnd.Add(-time.Hour-time.Duration(i)*time.Minute), i, now...)
		say(historyEnd.Add(-40*day-time.Duration(i)*time.Minute), i, before...)
	}
	store(t, s, rows)
	for _, row := range named(t, s, "themes", nil) {
		want := map[string]string{"usual": "not changed", "doubled": "grew", "noise": "not changed"}[row["theme"].(string)]
		same(t, row["theme"].(string), row["changed"], want)
	}
	for _, row := range named(t, s, "themes", map[string]string{"from": "2026-07-01 00:00:00"}) {
		same(t, row["theme"].(string), row["changed"], "nobody was heard before")
		same(t, "growth", row["growth"], nil)
	}
}
