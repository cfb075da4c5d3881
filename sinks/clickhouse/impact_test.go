package clickhouse_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// spoken is one answer on a scale with what was said beside it.
type spoken struct {
	tenant, customer, metric string
	value                    float64
	signs                    map[string]map[string]float64 // level, part: sum of polarities
}

// partsOf adds the mentions of a row to the parts of every level.
func partsOf(into map[string]map[string]float64, r *schemas.Row) {
	add := func(level, part string, polarity float32) {
		if part == "" {
			return
		}
		if into[level] == nil {
			into[level] = map[string]float64{}
		}
		into[level][part] += float64(polarity)
	}
	for _, m := range r.Labels.Mentions {
		add("element", string(m.Element), m.Polarity)
		if m.Facet != "" {
			add("facet", string(m.Element)+"/"+string(m.Facet), m.Polarity)
		}
		add("s5", string(m.S5), m.Polarity)
		add("theme", m.Theme, m.Polarity)
	}
}

// answersOf are the answers of a history with the mentions of their own text or, in a submission, of all its texts.
func answersOf(rows []schemas.Row) (out []spoken) {
	for i := range rows {
		r := &rows[i]
		if !said(r) {
			continue
		}
		signs := map[string]map[string]float64{}
		for j := range rows {
			o := &rows[j]
			if i == j || r.Event.Data.SubmissionID != "" && said(o) && o.Event.Tenant == r.Event.Tenant && o.Event.Data.SubmissionID == r.Event.Data.SubmissionID {
				partsOf(signs, o)
			}
		}
		if s := r.Scores.CSAT; s.Valid {
			out = append(out, spoken{r.Event.Tenant, who(r), "csat", map[bool]float64{true: 1}[s.Value == 1], signs})
		}
		if s := r.Scores.NPS; s.Valid {
			out = append(out, spoken{r.Event.Tenant, who(r), "nps", (1 + float64(s.Value)) / 2, signs})
		}
	}
	return out
}

// group is a sample of values; adjusted has one answer of either end added.
type group []float64

func (g group) mean() float64 {
	sum := 0.0
	for _, v := range g {
		sum += v
	}
	return sum / float64(len(g))
}

// adjusted returns the mean of the group with a 0 and a 1 added, and the variance of that mean.
func (g group) adjusted() (mean, variance float64) {
	more := append(slices.Clone(g), 0, 1)
	mean = more.mean()
	for _, v := range more {
		variance += (v - mean) * (v - mean)
	}
	n := float64(len(more))
	return mean, variance / n / n
}

// impactOf is the oracle's row of one part.
func impactOf(all []spoken, metric, level, part string) (w map[string]float64, kano string) {
	var total, with, without, good, bad, base group
	customers := map[string]bool{}
	lost, won := 0.0, 0.0
	for _, a := range all {
		total = append(total, a.value)
		ill, well := 0.0, 0.0
		for _, sum := range a.signs[level] {
			if sum < 0 {
				ill++
			}
			if sum > 0 {
				well++
			}
		}
		sum, spoke := a.signs[level][part]
		if part == "" {
			spoke, sum = true, 0
			if ill == 0 {
				lost += 1 - a.value
			}
			if well == 0 {
				won += a.value
			}
		}
		if !spoke {
			without, base = append(without, a.value), append(base, a.value)
			continue
		}
		with, customers[a.customer] = append(with, a.value), true
		switch {
		case sum > 0:
			good, won = append(good, a.value), won+a.value/well
		case sum < 0:
			bad, lost = append(bad, a.value), lost+(1-a.value)/ill
		default:
			base = append(base, a.value)
		}
	}
	scale, offset := 100.0, 0.0
	if metric == "nps" {
		scale, offset = 200, -100
	}
	n, k, nan := float64(len(total)), float64(len(with)), math.NaN()
	w = map[string]float64{"n": n, "answers": k, "customers": float64(len(customers)), "score": scale*total.mean() + offset, "good": float64(len(good)), "bad": float64(len(bad)), "base": float64(len(base)),
		"impact_loo": nan, "impact_low": nan, "impact_high": nan, "reward": nan, "reward_low": nan, "reward_high": nan, "penalty": nan, "penalty_low": nan, "penalty_high": nan}
	if k < n {
		m1, v1 := with.adjusted()
		m2, v2 := without.adjusted()
		share := k / n
		half := z * scale * math.Sqrt(share*share*(v1+v2)+(m1-m2)*(m1-m2)*share*(1-share)/n)
		w["impact_loo"] = scale*total.mean() - scale*without.mean()
		w["impact_low"], w["impact_high"] = scale*share*(m1-m2)-half, scale*share*(m1-m2)+half
	}
	ll, lh := wilson(lost, n)
	wl, wh := wilson(won, n)
	w["points_lost"], w["lost_low"], w["lost_high"] = scale*lost/n, ll*scale/100, lh*scale/100
	w["points_won"], w["won_low"], w["won_high"] = scale*won/n, wl*scale/100, wh*scale/100
	p, d := (float64(len(good))+0.75)/(k+3), (float64(len(bad))+0.75)/(k+3)
	half := z * math.Sqrt((p+d-(p-d)*(p-d))/(k+3))
	w["performance"] = 100 * float64(len(good)-len(bad)) / k
	w["performance_low"], w["performance_high"] = math.Max(-100, 100*(p-d-half)), math.Min(100, 100*(p-d+half))
	mg, vg := good.adjusted()
	mb, vb := bad.adjusted()
	m0, v0 := base.adjusted()
	rewardHalf, penaltyHalf := z*scale*math.Sqrt(v0+vg), z*scale*math.Sqrt(v0+vb)
	reward, penalty, contrast, contrastHalf := scale*(mg-m0), scale*(m0-mb), scale*(2*m0-mb-mg), z*scale*math.Sqrt(4*v0+vb+vg)
	if len(base) > 0 && len(good) > 0 {
		w["reward"], w["reward_low"], w["reward_high"] = scale*(good.mean()-base.mean()), reward-rewardHalf, reward+rewardHalf
	}
	if len(base) > 0 && len(bad) > 0 {
		w["penalty"], w["penalty_low"], w["penalty_high"] = scale*(base.mean()-bad.mean()), penalty-penaltyHalf, penalty+penaltyHalf
	}
	switch {
	case min(len(good), len(bad), len(base)) < 10:
		kano = "not known"
	case penalty-penaltyHalf > 0 && contrast-contrastHalf > scale/10:
		kano = "must-be"
	case reward-rewardHalf > 0 && contrast+contrastHalf < -scale/10:
		kano = "attractive"
	case penalty-penaltyHalf > 0 && reward-rewardHalf > 0:
		kano = "one-dimensional"
	case math.Max(math.Abs(penalty)+penaltyHalf, math.Abs(reward)+rewardHalf) < scale/10:
		kano = "indifferent"
	default:
		kano = "undecided"
	}
	return w, kano
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

func TestImpactMatchesTheOracle(t *testing.T) {
	for seed := range uint64(2) {
		s := open(t)
		rows := history(40+seed, 1200, historyEnd)
		store(t, s, rows)
		all := map[string][]spoken{}
		for _, a := range answersOf(rows) {
			all[a.tenant+" "+a.metric] = append(all[a.tenant+" "+a.metric], a)
		}
		sets := map[string][]map[string]any{}
		for _, row := range ask(t, s, "SELECT * FROM impact") {
			k := fmt.Sprint(row["tenant"], " ", row["metric"], " ", row["level"])
			sets[k] = append(sets[k], row)
		}
		if len(sets) != 4*len(all) {
			t.Errorf("%d sets of parts, want %d", len(sets), 4*len(all))
		}
		for k, set := range sets {
			f := strings.Fields(k)
			answers := all[f[0]+" "+f[1]]
			parts := map[string]bool{"": true}
			for _, a := range answers {
				for part := range a.signs[f[2]] {
					parts[part] = true
				}
			}
			if len(set) != len(parts) {
				t.Errorf("%s: %d parts, want %d", k, len(set), len(parts))
			}
			var importances, performances []float64
			for _, row := range set {
				w, _ := impactOf(answers, f[1], f[2], row["part"].(string))
				if row["part"] != "" && w["answers"] >= 10 && w["answers"] < w["n"] {
					importances, performances = append(importances, math.Abs(w["impact_loo"])), append(performances, w["performance"])
				}
			}
			lost, won := 0.0, 0.0
			for _, row := range set {
				what := k + " " + row["part"].(string)
				w, kano := impactOf(answers, f[1], f[2], row["part"].(string))
				for column, x := range w {
					closeTo(t, what+" "+column, row[column], x)
				}
				if got := row["kano"].(string); got != kano && !strings.HasPrefix(got, kano+": ") {
					t.Errorf("%s: kano %s, want %s", what, got, kano)
				}
				lost, won = lost+row["points_lost"].(float64), won+row["points_won"].(float64)
				quadrant := "not known"
				if w["answers"] >= 10 && w["answers"] < w["n"] && len(importances) >= 3 {
					closeTo(t, what+" importance_median", row["importance_median"], median(importances))
					important, good := math.Abs(w["impact_loo"]) >= median(importances)-1e-12, w["performance"] >= median(performances)-1e-12
					quadrant = map[[2]bool]string{{true, true}: "keep up", {true, false}: "concentrate here", {false, true}: "possible overkill", {false, false}: "low priority"}[[2]bool{important, good}]
				}
				if got := row["quadrant"].(string); got != quadrant && !strings.HasPrefix(got, quadrant+": ") {
					t.Errorf("%s: quadrant %s, want %s", what, got, quadrant)
				}
			}
			score := set[0]["score"].(float64)
			if f[1] == "nps" {
				score += 100
				closeTo(t, k+" points lost in all", lost, 200-score)
			} else {
				closeTo(t, k+" points lost in all", lost, 100-score)
			}
			closeTo(t, k+" points won in all", won, score)
		}
	}
}

// The four Kano classes from histories in which they are known by construction, and none from too few answers.
func TestKanoFindsWhatWasPutIn(t *testing.T) {
	s := open(t)
	var rows []schemas.Row
	add := func(facet schemas.Facet, polarity float32, n int, satisfied float64) {
		for i := range n {
			rows = append(rows, answer("acme", uint64(len(rows)+1), func(r *schemas.Row) {
				r.Scores.CSAT = schemas.Score{Valid: true, Value: map[bool]float32{true: 1}[float64(i) < satisfied*float64(n)]}
				r.Labels.Polarity = schemas.Neutral
				if facet != "" {
					r.Labels.Mentions = []schemas.Mention{{Element: facet.Element(), Facet: facet, Polarity: polarity}}
				}
			}))
		}
	}
	add("", 0, 2000, 0.5)
	for _, c := range []struct {
		facet     schemas.Facet
		good, bad float64
	}{{schemas.Packaging, 0.5, 0.1}, {schemas.Quality, 0.9, 0.5}, {schemas.Price, 0.75, 0.2}, {schemas.Sale, 0.5, 0.5}} {
		add(c.facet, 0.5, 600, c.good)
		add(c.facet, -0.5, 600, c.bad)
	}
	add(schemas.Presale, 0.5, 9, 1)
	add(schemas.Presale, -0.5, 400, 0)
	store(t, s, rows)
	want := map[string]string{"product/packaging": "must-be", "product/quality": "attractive", "product/price": "one-dimensional", "service/sale": "indifferent"}
	for _, row := range named(t, s, "kano", map[string]string{"tenant": "acme"}) {
		class, ok := want[row["part"].(string)]
		if got := row["kano"].(string); got != class && (ok || !strings.HasPrefix(got, "not known: 9 praise, 400 blame")) {
			t.Errorf("%s: %s, want %s", row["part"], got, class)
		}
	}
}

// The interval of the silent customers keeps its promise where the truth is known: simulated tenants whose customers answer
// and complain independently. It is computed by the oracle that the view is held against.
func TestSilentIntervalCoversTheTruth(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	for _, c := range []struct {
		customers        int
		answer, complain float64
	}{{150, 0.3, 0.3}, {500, 0.15, 0.2}, {500, 0.5, 0.1}, {2000, 0.1, 0.4}} {
		covered, estimated := 0, 0
		for range 2000 {
			var d, both, own float64
			for range c.customers {
				a, b := rnd.Float64() < c.answer, rnd.Float64() < c.complain
				if a {
					d++
				}
				if b {
					own++
				}
				if a && b {
					both++
				}
			}
			truth := float64(c.customers) - d - own + both
			_, low, high := silentOf(own-both, d, both)
			if math.IsNaN(low) {
				continue
			}
			estimated++
			if low <= truth && truth <= high {
				covered++
			}
		}
		if share := float64(covered) / float64(estimated); share < 0.93 {
			t.Errorf("%+v: %d of %d intervals hold the truth, %.1f %%", c, covered, estimated, 100*share)
		} else {
			t.Logf("%+v: %.1f %% of %d", c, 100*share, estimated)
		}
	}
}

// A tenant of which nothing is known, one customer, the same customer erased, one answer: figures are absent and say why; nothing is divided by zero.
func TestFiguresOfNearlyNobody(t *testing.T) {
	s := open(t)
	one := answer("acme", 1, func(r *schemas.Row) {
		r.Event.Time, r.CustomerKey, r.Event.Data.Text = historyEnd.Add(-time.Hour), "k", "Please!"
		r.ReceivedAt = r.Event.Time
		r.Scores.CSAT, r.Labels.Polarity, r.Labels.Intent = schemas.Score{Value: 1, Valid: true}, schemas.Neutral, schemas.Request
		r.Labels.Mentions = []schemas.Mention{{Element: schemas.Product, Facet: schemas.Quality, Theme: "late", Polarity: -0.5}}
	})
	for _, q := range []string{"churn_risk", "churn_calibration", "needs", "themes", "silent_customers", "impact", "importance_performance", "kano"} {
		if got := named(t, s, q, nil); len(got) != 0 {
			t.Errorf("%s of nobody: %v", q, got)
		}
	}
	store(t, s, []schemas.Row{one})
	for q, want := range map[string]map[string]any{
		"churn_risk":             {"validated": "no: nobody could be scored 30 days before", "events": 1.0, "band_share": nil},
		"churn_calibration":      {"verdict": "not validated: nobody could be scored 30 days before", "observed": nil, "predicted": nil},
		"needs":                  {"need": "late", "customers": 1.0, "of_customers": 1.0, "state": "open"},
		"themes":                 {"customers": 1.0, "growth": nil, "silent": nil, "silent_basis": "not known: 0 known customers rated low when asked, 20 are needed"},
		"impact":                 {"part": "late", "impact_loo": nil, "n": 1.0, "customers": 1.0},
		"importance_performance": {"quadrant": "not known: 1 of 10 answers", "importance": nil},
		"kano":                   {"kano": "not known: 0 praise, 1 blame, 0 neither; 10 each are needed", "penalty": nil},
	} {
		got := named(t, s, q, nil)
		if len(got) == 0 {
			t.Errorf("%s: no row", q)
			continue
		}
		for column, x := range want {
			same(t, q+" "+column, got[0][column], x)
		}
	}
	if err := clickhouse.Exec(t.Context(), s, "DELETE FROM feedback WHERE customer_key = 'k'"); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"churn_risk", "needs", "themes", "kano"} {
		if got := named(t, s, q, nil); len(got) != 0 {
			t.Errorf("%s after the erasure: %v", q, got)
		}
	}
}
