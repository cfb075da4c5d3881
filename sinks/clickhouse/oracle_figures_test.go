package clickhouse_test

import (
	"cmp"
	"math"
	"slices"

	"github.com/earshot/earshot/schemas"
)

func oracleCSAT(all []facts, a *asking) (out []answerRow) {
	s := sheet{}
	for _, f := range customers(all, a) {
		if f.isCSAT {
			for _, label := range f.labels(a.split) {
				s.add(a, f.Event.Time, f.Event.Tenant, label, scaleName(f), f.csat)
			}
		}
	}
	for _, c := range s.cells() {
		vs := s.values(c)
		n, satisfied, neutral := float64(len(vs)), countOf(vs, equals(1)), countOf(vs, equals(0.5))
		r := head(a, c, s)
		r["scale"], r["n"], r["satisfied"], r["neutral"], r["csat_excl_neutral"] = c.part, n, satisfied, neutral, nil
		if r.share("csat", satisfied, n); n > neutral {
			r["csat_excl_neutral"] = 100 * satisfied / (n - neutral)
		}
		out = append(out, r)
	}
	return out
}

// labels is under what an event counts in a split: under its cut, or under every part of an axis that is spoken of.
func (f *facts) labels(split string) (out []string) {
	if !slices.Contains([]string{"element", "facet", "s5"}, split) {
		return []string{f.cut(split)}
	}
	for _, part := range parts(split) {
		if _, spoken := f.axis[split+" "+part]; spoken {
			out = append(out, part)
		}
	}
	if out == nil {
		return []string{""}
	}
	return out
}

// recommends is 1, 0 or -1.
func recommends(f *facts) float64 {
	switch v := *f.Event.Data.Number; {
	case v > 8:
		return 1
	case v < 7:
		return -1
	}
	return 0
}

func oracleNPS(all []facts, a *asking) (out []answerRow) {
	s := sheet{}
	for _, f := range customers(all, a) {
		for _, label := range f.labels(a.split) {
			if s.add(a, f.Event.Time, f.Event.Tenant, label, ""); f.isNPS {
				s.add(a, f.Event.Time, f.Event.Tenant, label, "", recommends(f))
			}
		}
	}
	for _, c := range s.cells() {
		vs := s.values(c)
		if !kept(a, len(vs)) {
			continue
		}
		n, up, down := float64(len(vs)), countOf(vs, equals(1)), countOf(vs, equals(-1))
		r := head(a, c, s)
		r["n"], r["promoters"], r["passives"], r["detractors"] = n, up, countOf(vs, equals(0)), down
		r.balance("nps", "nps", up, down, n)
		r["change"], r["change_low"], r["change_high"], r["changed"] = nil, nil, nil, ""
		if old := s.values(cell{a.before(c.period).UTC(), c.tenant, c.label, ""}); a.by != "all" && len(old) > 0 && n > 0 {
			oldUp, oldDown := countOf(old, equals(1)), countOf(old, equals(-1))
			m, v := adjusted(up, down, n)
			oldM, oldV := adjusted(oldUp, oldDown, float64(len(old)))
			half := z * math.Sqrt(v+oldV)
			r["change"], r["change_low"], r["change_high"] = 100*(mean(vs)-mean(old)), 100*(m-oldM-half), 100*(m-oldM+half)
			r["changed"] = "not changed"
			if m-oldM-half > 0 {
				r["changed"] = "up"
			} else if m-oldM+half < 0 {
				r["changed"] = "down"
			}
		}
		out = append(out, r)
	}
	return out
}

// meanInterval is the mean of effort answers with its normal interval where two differ, cut off at the ends of the scale.
func meanInterval(r answerRow, name string, vs []float64) {
	r[name], r[name+"_low"], r[name+"_high"] = nil, nil, nil
	if len(vs) == 0 {
		return
	}
	m, squares := mean(vs), 0.0
	r[name] = m
	for _, v := range vs {
		squares += (v - m) * (v - m)
	}
	if n := float64(len(vs)); squares > 0 { // where all are equal nothing is known of how they vary
		half := z * math.Sqrt(squares/(n-1)/n)
		r[name+"_low"], r[name+"_high"] = math.Max(m-half, 1), math.Min(m+half, 7)
	}
}

func oracleCES(all []facts, a *asking) (out []answerRow) {
	s := sheet{}
	for _, f := range customers(all, a) {
		for _, label := range f.labels(a.split) {
			if s.add(a, f.Event.Time, f.Event.Tenant, label, ""); f.isCES {
				s.add(a, f.Event.Time, f.Event.Tenant, label, "", f.effort)
			}
		}
	}
	for _, c := range s.cells() {
		vs := s.values(c)
		if !kept(a, len(vs)) {
			continue
		}
		n := float64(len(vs))
		r := head(a, c, s)
		r["n"] = n
		meanInterval(r, "mean", vs)
		r.share("easy", countOf(vs, func(v float64) bool { return v >= 5 }), n)
		r["easy_share"] = r["easy"]
		r.balance("effort_index", "effort", countOf(vs, func(v float64) bool { return v >= 6 }), countOf(vs, func(v float64) bool { return v <= 3 }), n)
		out = append(out, r)
	}
	return out
}

// parts are the parts of an axis.
func parts(of string) []string {
	switch of {
	case "element":
		return namesOf(schemas.Elements())
	case "facet":
		return namesOf(schemas.Facets())
	case "s5":
		return namesOf(schemas.Virtues())
	}
	return []string{"text"}
}

func oracleNet(all []facts, a *asking) (out []answerRow) {
	s := sheet{}
	for _, f := range customers(all, a) {
		for _, part := range parts(a.of) {
			s.add(a, f.Event.Time, f.Event.Tenant, f.cut(a.split), part)
			v, spoken := f.axis[a.of+" "+part]
			if part == "text" {
				v, spoken = map[schemas.Polarity]float64{schemas.Positive: 1, schemas.Negative: -1}[f.Labels.Polarity], f.Labels.Polarity != ""
			}
			if spoken {
				s.add(a, f.Event.Time, f.Event.Tenant, f.cut(a.split), part, v)
			}
		}
	}
	for _, c := range s.cells() {
		vs := s.values(c)
		if !kept(a, len(vs)) {
			continue
		}
		up, down := countOf(vs, func(v float64) bool { return v > 0 }), countOf(vs, func(v float64) bool { return v < 0 })
		r := head(a, c, s)
		r["part"], r["n"], r["positive"], r["neutral"], r["negative"] = c.part, float64(len(vs)), up, countOf(vs, equals(0)), down
		r.balance("net_sentiment", "net", up, down, float64(len(vs)))
		out = append(out, r)
	}
	return out
}

func oracleIndex(all []facts, a *asking) (out []answerRow) {
	s, spoken := sheet{}, map[cell]int{}
	for _, f := range customers(all, a) {
		for _, part := range parts(a.of) {
			s.add(a, f.Event.Time, f.Event.Tenant, f.cut(a.split), part)
			if v, ok := f.axis[a.of+" "+part]; ok {
				s.add(a, f.Event.Time, f.Event.Tenant, f.cut(a.split), part, v)
				spoken[cell{a.period(f.Event.Time).UTC(), f.Event.Tenant, f.cut(a.split), ""}]++
			}
		}
	}
	weights, basis := map[string][]float64{}, map[string]string{}
	for _, f := range all {
		if tenant := f.Event.Tenant; weights[tenant] == nil {
			weights[tenant], basis[tenant] = oracleWeights(all, tenant)
		}
	}
	cells := s.cells()
	for _, c := range cells {
		whole := cell{c.period, c.tenant, c.label, ""}
		if !kept(a, spoken[whole]) {
			continue
		}
		row := func(part string, n int, index, half float64) answerRow {
			r := head(a, c, s)
			r["part"], r["n"], r["satisfaction"], r["satisfaction_low"], r["satisfaction_high"] = part, float64(n), index, math.Max(index-half, 0), math.Min(index+half, 100)
			r["weight"], r["weights"] = 0.0, ""
			return r
		}
		index, half := indexOfScores(s.values(c))
		r := row(c.part, len(s.values(c)), index, half)
		if a.of == "element" {
			at := slices.Index(parts("element"), c.part)
			r["weight"], r["weights"] = weights[c.tenant][at], basis[c.tenant]
			if at == 0 { // overall stands where product does
				total, square := 0.0, 0.0
				for i, part := range parts("element") {
					x, h := indexOfScores(s.values(cell{c.period, c.tenant, c.label, part}))
					total += weights[c.tenant][i] * x
					square += math.Pow(weights[c.tenant][i]*h, 2)
				}
				o := row("overall", spoken[whole], total, math.Sqrt(square))
				o["weight"], o["weights"] = 1.0, basis[c.tenant]
				out = append(out, o)
			}
		}
		out = append(out, r)
	}
	slices.SortStableFunc(out, func(x, y answerRow) int {
		return cmp.Or(cmp.Compare(x["tenant"].(string), y["tenant"].(string)), cmp.Compare(x["label"].(string), y["label"].(string)), cmp.Compare(x["part"].(string), y["part"].(string)))
	})
	return out
}
