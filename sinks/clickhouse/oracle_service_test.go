package clickhouse_test

import (
	"math"
	"slices"
	"time"

	"github.com/earshot/earshot/schemas"
)

// oracleWeights fits the weights of the elements: least squares by elimination on the plain equations, constant included.
func oracleWeights(all []facts, tenant string) (weights []float64, basis string) {
	equal := []float64{1.0 / 3, 1.0 / 3, 1.0 / 3}
	var xs [][]float64
	var ys []float64
	mentioned := [3]int{}
	for i := range all {
		f := &all[i]
		d := &f.Event.Data
		if !f.fromBuyer || f.Event.Tenant != tenant || !f.isRating || f.isCES || d.ElementHint != "" || d.S5Hint != "" {
			continue
		}
		x, any := []float64{1, 0, 0, 0}, false
		for k, part := range parts("element") {
			if v, ok := f.axis["element "+part]; ok {
				x[k+1], any = v, true
				mentioned[k]++
			}
		}
		if any {
			xs, ys = append(xs, x), append(ys, f.rating)
		}
	}
	if len(xs) < 200 || slices.Min(mentioned[:]) < 20 {
		return equal, "equal"
	}
	b := solve(xs, ys)
	var residual, total, sum float64
	for i, x := range xs {
		fit := 0.0
		for k := range x {
			fit += b[k] * x[k]
		}
		residual += (ys[i] - fit) * (ys[i] - fit)
		total += (ys[i] - mean(ys)) * (ys[i] - mean(ys))
	}
	for _, v := range b[1:] {
		sum += math.Max(v, 0)
	}
	if f := (total - residual) / 3 / (residual / float64(len(xs)-4)); f <= 3.88 || sum == 0 {
		return equal, "equal"
	}
	for _, v := range b[1:] {
		weights = append(weights, math.Max(v, 0)/sum)
	}
	return weights, "fitted"
}

// solve is least squares by Gaussian elimination of the normal equations.
func solve(xs [][]float64, ys []float64) []float64 {
	n := len(xs[0])
	m := make([][]float64, n)
	for i := range m {
		m[i] = make([]float64, n+1)
		for r, x := range xs {
			for j := range n {
				m[i][j] += x[i] * x[j]
			}
			m[i][n] += x[i] * ys[r]
		}
	}
	for i := range n {
		for r := range m {
			if r == i {
				continue
			}
			factor := m[r][i] / m[i][i]
			for j := i; j <= n; j++ {
				m[r][j] -= factor * m[i][j]
			}
		}
	}
	out := make([]float64, n)
	for i := range n {
		out[i] = m[i][n] / m[i][i]
	}
	return out
}

// occasion is one thing that people of the company did well or not.
type occasion struct {
	*facts // what it is cut by
	at     time.Time
	s5     schemas.S5
	well   bool
}

// wait is a customer's wait for the first answer; seconds are negative where nobody answered.
type wait struct {
	*facts
	seconds float64
}

// waits looks for the first answer in each case and conversation: the clocks' oracle says what belongs together.
func waits(all []facts) (out []wait) {
	var h threadHistory
	of := map[*schemas.Event]*facts{}
	for i := range all {
		h = append(h, *all[i].Row)
		of[all[i].Event] = &all[i]
	}
	for _, th := range h.threads() {
		if th.lone {
			continue
		}
		var w *wait
		for _, r := range th.rows {
			switch m := markOf(r.Event, r.Labels.ResponseNeeded); {
			case w == nil && (m == spoke || m == asked):
				w = &wait{of[r.Event], -1}
			case w != nil && w.seconds < 0 && m == wasAnswered:
				w.seconds = r.Event.Time.Sub(w.Event.Time).Seconds()
			}
		}
		if w != nil {
			row, event, f := *w.Row, *w.Event, *w.facts
			event.Data.ProductID, row.Event, f.Row = th.product(), &event, &row
			out = append(out, wait{&f, w.seconds})
		}
	}
	return out
}

// speaks says whether the event is a word of a person of the company to a customer.
func (f *facts) speaks() bool {
	return f.byPerson && (f.Event.Kind == schemas.AgentResponded || f.Event.Kind == schemas.MessagePosted)
}

// occasions lists what people did.
func occasions(all []facts) (out []occasion) {
	for _, w := range waits(all) {
		out = append(out, occasion{w.facts, w.facts.Event.Time, schemas.Speed, w.seconds >= 0 && w.seconds <= 24*3600})
	}
	for i := range all {
		f := &all[i]
		if f.speaks() && f.Labels.Polarity != "" {
			out = append(out, occasion{f, f.Event.Time, schemas.Smile, f.Labels.Polarity != schemas.Negative})
		}
		if f.Event.Kind == schemas.CaseOpened && f.CustomerKey != "" {
			for theme := range complaints(f) {
				well := true
				for j := range all {
					g := &all[j]
					later := g.Event.Time.Sub(f.Event.Time)
					if g.Event.Kind == f.Event.Kind && g.Event.Tenant == f.Event.Tenant && g.CustomerKey == f.CustomerKey && later > 0 && later <= 30*24*time.Hour && complaints(g)[theme] {
						well = false
					}
				}
				out = append(out, occasion{f, f.Event.Time, schemas.Study, well})
			}
		}
	}
	return append(out, caseOccasions(all)...)
}

// complaints are the themes that a text complains of.
func complaints(f *facts) map[string]bool {
	out := map[string]bool{}
	for _, m := range f.Labels.Mentions {
		if m.Theme != "" && m.Polarity < 0 {
			out[m.Theme] = true
		}
	}
	return out
}

// caseOccasions are the promises and the resolutions.
func caseOccasions(all []facts) (out []occasion) {
	cases := map[[2]string][]*facts{}
	for i := range all {
		f := &all[i]
		if id := f.Event.Data.CaseID; id != "" && slices.Contains([]schemas.Kind{schemas.DecisionMade, schemas.CaseResolved, schemas.CustomerInformed, schemas.CaseReopened}, f.Event.Kind) {
			cases[[2]string{f.Event.Tenant, id}] = append(cases[[2]string{f.Event.Tenant, id}], f)
		}
	}
	for _, events := range cases {
		slices.SortFunc(events, func(x, y *facts) int { return x.Event.Time.Compare(y.Event.Time) })
		var resolved *facts
		reopened := false
		for _, f := range events {
			reopened = reopened || f.Event.Kind == schemas.CaseReopened
			if f.Event.Kind == schemas.CaseResolved && resolved == nil {
				resolved = f
			}
			if f.Event.Kind != schemas.DecisionMade || f.Event.Data.PromiseDue == "" {
				continue
			}
			due, _ := time.Parse(time.RFC3339, f.Event.Data.PromiseDue)
			keptWord := slices.ContainsFunc(events, func(g *facts) bool {
				return (g.Event.Kind == schemas.CaseResolved || g.Event.Kind == schemas.CustomerInformed) && !g.Event.Time.Before(f.Event.Time) && !g.Event.Time.After(due)
			})
			out = append(out, occasion{events[0], f.Event.Time, schemas.Sincerity, keptWord})
		}
		if resolved != nil {
			out = append(out, occasion{events[0], resolved.Event.Time, schemas.Smart, !reopened})
		}
	}
	return out
}

func oracleFiveS(all []facts, a *asking) (out []answerRow) {
	said, did := sheet{}, sheet{}
	for _, f := range customers(all, a) {
		for _, part := range parts("s5") {
			said.add(a, f.Event.Time, f.Event.Tenant, f.cut(a.split), part)
			if v, ok := f.axis["s5 "+part]; ok {
				said.add(a, f.Event.Time, f.Event.Tenant, f.cut(a.split), part, v)
			}
		}
	}
	for _, o := range occasions(all) {
		if a.takes(o.at) && a.wants(o.facts) {
			did.add(a, o.at, o.Event.Tenant, o.cut(a.split), string(o.s5), map[bool]float64{true: 1}[o.well])
		}
	}
	for _, c := range said.cells(did) {
		said, did := said, did
		vs, well := said.values(c), did.values(c)
		if !kept(a, len(vs)+len(well)) {
			continue
		}
		index, half := indexOfScores(vs)
		r := head(a, c, said, did)
		r["s5"], r["said_n"], r["said"], r["said_low"], r["said_high"], r["did_n"] = c.part, float64(len(vs)), index, math.Max(index-half, 0), math.Min(index+half, 100), float64(len(well))
		r.share("did", countOf(well, equals(1)), float64(len(well)))
		out = append(out, r)
	}
	return out
}

// quantile is the value at a share of the way through the sorted values, between two of them in proportion.
func quantile(vs []float64, share float64) any {
	if len(vs) == 0 {
		return nil
	}
	vs = slices.Sorted(slices.Values(vs))
	at := share * float64(len(vs)-1)
	i := int(at)
	if i+1 == len(vs) {
		return vs[i]
	}
	return vs[i] + (at-float64(i))*(vs[i+1]-vs[i])
}

func oracleSpeed(all []facts, a *asking) (out []answerRow) {
	said, did := sheet{}, sheet{}
	for _, f := range customers(all, a) {
		if said.add(a, f.Event.Time, f.Event.Tenant, f.cut(a.split), ""); true {
			if v, ok := f.axis["s5 speed"]; ok {
				said.add(a, f.Event.Time, f.Event.Tenant, f.cut(a.split), "", v)
			}
		}
	}
	for _, w := range waits(all) {
		if a.takes(w.Event.Time) && a.wants(w.facts) {
			did.add(a, w.Event.Time, w.Event.Tenant, w.cut(a.split), "", w.seconds)
		}
	}
	for _, c := range said.cells(did) {
		vs, ws := said.values(c), did.values(c)
		if !kept(a, len(vs)+len(ws)) {
			continue
		}
		index, half := indexOfScores(vs)
		r := head(a, c, said, did)
		r["said_n"], r["perceived"], r["perceived_low"], r["perceived_high"], r["measured_n"] = float64(len(vs)), index, math.Max(index-half, 0), math.Min(index+half, 100), float64(len(ws))
		r.share("measured", countOf(ws, func(s float64) bool { return s >= 0 && s <= 86400 }), float64(len(ws)))
		answered := slices.DeleteFunc(slices.Clone(ws), func(s float64) bool { return s < 0 })
		r["wait_p50"], r["wait_p90"] = quantile(answered, 0.5), quantile(answered, 0.9)
		r["gap"], r["gap_low"], r["gap_high"] = nil, nil, nil
		if len(vs) > 0 && len(ws) > 0 {
			m, low, high := r["measured"].(float64), r["measured_low"].(float64), r["measured_high"].(float64)
			r["gap"], r["gap_low"], r["gap_high"] = index-m, index-m-math.Hypot(half, m-low), index-m+math.Hypot(half, high-m)
		}
		out = append(out, r)
	}
	return out
}

func oracleSeries(all []facts, a *asking) (out []answerRow) {
	sheets := map[string]sheet{"events": {}, "csat": {}, "nps": {}, "ces": {}, "texts": {}}
	for _, f := range customers(all, a) {
		label := f.Event.Tenant
		if a.split != "" {
			label += " " + f.cut(a.split)
		}
		add := func(to string, v float64) { sheets[to].add(a, f.Event.Time, "", label, "", v) }
		add("events", 0)
		if f.isCSAT && scaleName(f) == "1-5" {
			add("csat", f.csat)
		}
		if f.isNPS {
			add("nps", recommends(f))
		}
		if f.isCES {
			add("ces", f.effort)
		}
		if f.Labels.Polarity != "" {
			add("texts", map[schemas.Polarity]float64{schemas.Positive: 1, schemas.Negative: -1}[f.Labels.Polarity])
		}
	}
	for _, c := range sheets["events"].cells() {
		r := answerRow{"time": a.shown(c, sheets["events"]), "label": c.label}
		n := map[string]float64{}
		for name, s := range sheets {
			n[name] = float64(len(s.values(c)))
		}
		r["events"], r["csat_n"], r["nps_n"], r["ces_n"], r["texts"] = n["events"], n["csat"], n["nps"], n["ces"], n["texts"]
		r.share("csat", countOf(sheets["csat"].values(c), equals(1)), n["csat"])
		nps, texts := sheets["nps"].values(c), sheets["texts"].values(c)
		r.balance("nps", "nps", countOf(nps, equals(1)), countOf(nps, equals(-1)), n["nps"])
		r.balance("net_sentiment", "net", countOf(texts, equals(1)), countOf(texts, equals(-1)), n["texts"])
		meanInterval(r, "ces", sheets["ces"].values(c))
		out = append(out, r)
	}
	return out
}
