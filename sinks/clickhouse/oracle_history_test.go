package clickhouse_test

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/processors/measure"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/schemas/sql"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// longHistory makes a random history of ten weeks around a change of the clocks in Europe and in America: answers on all
// scales, off them and the wrong way round, words about anything, cases with all that can happen in them.
func longHistory(seed uint64, n int) []schemas.Row {
	rnd := rand.New(rand.NewPCG(seed, 11))
	begin := time.Date(2024, 2, 26, 0, 0, 0, 0, time.UTC)
	rows := make([]schemas.Row, n)
	for i := range rows {
		// Two thirds within five days about a change of the clocks, so that hours and minutes hold more than one event.
		at := begin.Add(time.Duration(rnd.Int64N(int64(70 * 24 * time.Hour))))
		if rnd.IntN(3) > 0 {
			at = begin.Add(32*24*time.Hour + time.Duration(rnd.Int64N(int64(5*24*time.Hour))))
		}
		rows[i] = longHistoryRow(rnd, uint64(i+1), at.Truncate(time.Second).Add(time.Duration(i)*time.Millisecond))
	}
	var buf []byte
	for i := range rows {
		buf = rows[i].Seal(buf)
	}
	return rows
}

func longHistoryRow(rnd *rand.Rand, seq uint64, at time.Time) schemas.Row {
	e := &schemas.Event{ID: fmt.Sprint(seq), Source: "/history", Tenant: pick(rnd, "acme", "acme", "globex"), Time: at}
	r := schemas.Row{Event: e, Epoch: epoch, Seq: seq, Generation: 1, ReceivedAt: at.Add(time.Second)}
	r.ID = e.Identity()
	d, l := &e.Data, &r.Labels
	e.Kind = pick(rnd, schemas.FeedbackReceived, schemas.ReviewPublished, schemas.RatingSubmitted, schemas.RatingSubmitted, schemas.RatingSubmitted, schemas.MessagePosted,
		schemas.CaseOpened, schemas.CaseOpened, schemas.CaseReopened, schemas.AgentResponded, schemas.AgentResponded, schemas.DecisionMade, schemas.CaseResolved, schemas.CustomerInformed, schemas.FollowupRated)
	d.Channel = pick(rnd, "support", "review", "email")
	d.ProductID = pick(rnd, "", "lamp", "chair")
	d.ActorKind = pick(rnd, "", "", "", "", "customer", "agent", "bot")
	if e.Kind == schemas.AgentResponded {
		d.ActorKind = pick(rnd, "agent", "agent", "agent", "bot")
	}
	d.Visibility = pick(rnd, "", "public", "public", "internal")
	if rnd.IntN(3) > 0 {
		r.CustomerKey = fmt.Sprint("k", rnd.IntN(6))
	}
	switch n := rnd.IntN(30); rnd.IntN(4) {
	case 0:
		d.CaseID = fmt.Sprint("case", n)
	case 1:
		d.CaseID, d.ConversationID = fmt.Sprint("case", n), fmt.Sprint("talk", n)
	case 2:
		d.ConversationID = fmt.Sprint("talk", n)
	case 3:
		e.Correlation = pick(rnd, "", fmt.Sprint("thing", n))
	}
	if e.Kind == schemas.DecisionMade && rnd.IntN(3) > 0 {
		d.PromiseDue = at.Add(time.Duration(rnd.IntN(20*24)) * time.Hour).Format(time.RFC3339)
	}
	l.Language, l.Quality, l.Element, l.Urgency, l.Model = pick(rnd, "en", "zh", "und"), schemas.QualityOK, schemas.Unspecified, schemas.UrgencyLow, "history"
	if rnd.IntN(3) > 0 {
		l.Stage = pick(rnd, schemas.StagePresale, schemas.StageSale, schemas.NoStage, "")
		d.Text, l.Polarity, l.Score = "words", pick(rnd, schemas.Negative, schemas.Neutral, schemas.Positive), axis(rnd).Value
		for range rnd.IntN(4) {
			f := pick(rnd, schemas.Facets()...)
			m := schemas.Mention{Element: f.Element(), Facet: f, Theme: pick(rnd, "", "late", "rude"), Polarity: schemas.Quantise(float64(rnd.IntN(257)-128) / 128), End: 1}
			if m.Element == schemas.Service {
				m.S5 = pick(rnd, append(schemas.Virtues(), "", schemas.Speed)...)
			}
			l.Mentions = append(l.Mentions, m)
		}
	}
	historyAnswer(rnd, d)
	r.Scores = measure.Measure(e, l)
	return r
}

// historyAnswer is an answer on a scale, in three of four events.
func historyAnswer(rnd *rand.Rand, d *schemas.Data) {
	if rnd.IntN(4) == 0 {
		return
	}
	d.FieldType = pick(rnd, "nps", "nps", "ces", "csat", "csat", "rating", "", "boolean", "number", "text")
	if d.FieldType == "boolean" || d.FieldType == "" && rnd.IntN(2) == 0 {
		yes := rnd.IntN(2) == 0
		d.Boolean = &yes
		return
	}
	scale := map[string][2]float64{"nps": {0, 10}, "ces": {1, 7}}[d.FieldType]
	if scale[1] == 0 {
		scale = pick(rnd, [2]float64{1, 5}, [2]float64{1, 5}, [2]float64{1, 7}, [2]float64{1, 10}, [2]float64{1, 3}, [2]float64{0, 1}, [2]float64{0, 100})
	}
	if rnd.IntN(12) == 0 {
		scale = [2]float64{1, 5} // not the scale that the type wants
	}
	if rnd.IntN(5) > 0 {
		d.ScaleMin, d.ScaleMax = &scale[0], &scale[1]
	} else if s, ok := map[string][2]float64{"nps": {0, 10}, "ces": {1, 7}, "csat": {1, 5}, "rating": {1, 5}, "": {1, 5}}[d.FieldType]; ok {
		scale = s
	}
	d.ScaleDir = pick(rnd, "", "", "higher_better", "lower_better")
	v := scale[0] + float64(rnd.IntN(int(scale[1]-scale[0])+1))
	switch rnd.IntN(12) {
	case 0:
		v += 0.5
	case 1:
		v = scale[1] + 1
	}
	d.Number = &v
	if rnd.IntN(6) == 0 {
		d.ElementHint = pick(rnd, schemas.Product, schemas.Service, schemas.Image, "")
		d.S5Hint = pick(rnd, schemas.Speed, schemas.Smile, "")
		d.StageHint = pick(rnd, "presale", "aftersale", "")
	}
}

// figuresBy is what the oracle says to a query.
var figuresBy = map[string]func(all []facts, a *asking) []answerRow{
	"csat": oracleCSAT, "nps": oracleNPS, "ces": oracleCES, "net_sentiment": oracleNet, "satisfaction_index": oracleIndex,
	"five_s": oracleFiveS, "speed_gap": oracleSpeed, "figures_over_time": oracleSeries,
}

// rounding is what the queries do to figures that are printed. The test asks for the figures themselves.
var rounding = regexp.MustCompile(`\bround\(`)

// Every figure that the named queries give is computed a second time from the events, for random histories, periods, time
// zones, cuts and filters, and compared with what the engine says once everything is merged.
func TestFiguresEqualTheOracle(t *testing.T) {
	for seed := range uint64(2) {
		s := open(t)
		rows := longHistory(seed+1, 700)
		byMonth := map[time.Month][]schemas.Row{}
		for i := range rows {
			byMonth[rows[i].Event.Time.Month()] = append(byMonth[rows[i].Event.Time.Month()], rows[i])
		}
		for _, part := range byMonth {
			insert(t, s, part[:len(part)/2])
			insert(t, s, part[len(part)/2:])
		}
		merge(t, s)
		all := make([]facts, len(rows))
		for i := range rows {
			all[i] = look(&rows[i])
		}
		rnd := rand.New(rand.NewPCG(seed, 3))
		periods := []string{"all", "week", "day", "hour", "month", "minute"}
		for _, name := range slices.Sorted(maps.Keys(figuresBy)) {
			for i := range len(periods) / 2 { // each query with half of the periods for one history, and with the others for the next
				a := asking{by: periods[2*i+int(seed)%2], tz: pick(rnd, "UTC", "UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York"),
					from: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), to: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
				splits, of := []string{"", "channel", "product", "language", "stage"}, []string{""}
				switch name {
				case "csat", "nps", "ces":
					splits = append(splits, "element", "facet", "s5")
				case "five_s", "speed_gap":
					splits = splits[:3]
				case "net_sentiment":
					of = []string{"text", "element", "facet", "s5"}
				case "satisfaction_index":
					of = []string{"element", "element", "facet", "s5"}
				}
				a.split, a.of = pick(rnd, splits...), pick(rnd, of...)
				if rnd.IntN(3) == 0 {
					a.from, a.to = time.Date(2024, 3, 29, 22, 0, 0, 0, time.UTC), time.Date(2024, 4, 8, 5, 0, 0, 0, time.UTC)
				}
				if rnd.IntN(4) == 0 {
					a.channel, a.product = pick(rnd, "", "email"), pick(rnd, "lamp", "nothing of the kind")
				}
				if rnd.IntN(4) == 0 && len(splits) > 3 {
					a.language, a.stage = pick(rnd, "zh", ""), pick(rnd, "", "none", "sale")
				}
				compareWithOracle(t, s, name, all, &a)
			}
			if slices.Contains([]string{"csat", "nps", "ces"}, name) {
				for _, split := range []string{"element", "facet", "s5"} { // whatever was drawn
					compareWithOracle(t, s, name, all, &asking{by: pick(rnd, "all", "month"), split: split, tz: "UTC", from: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), to: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)})
				}
			}
		}
	}
}

func compareWithOracle(t *testing.T, s *clickhouse.Store, name string, all []facts, a *asking) {
	t.Helper()
	q, err := sql.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	q.SQL = rounding.ReplaceAllString(q.SQL, "tuple(")
	params := map[string]string{"by": a.by, "split": a.split, "tz": a.tz, "from": a.from.Format(time.DateTime), "to": a.to.Format(time.DateTime), "channel": a.channel, "product": a.product}
	for k, v := range map[string]string{"language": a.language, "stage": a.stage, "of": a.of} {
		if v != "" {
			params[k] = v
		}
	}
	what := fmt.Sprint(name, " ", params)
	if a.loc, err = time.LoadLocation(a.tz); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := s.Named(t.Context(), q, params, "JSONEachRow", &out); err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	got, want := decode(t, &out), figuresBy[name](all, a)
	slices.SortStableFunc(got, func(x, y map[string]any) int {
		for _, c := range []string{"tenant", "label", "scale", "part", "s5"} {
			if x[c] != nil {
				if d := strings.Compare(x[c].(string), y[c].(string)); d != 0 {
					return d
				}
			}
		}
		return 0
	})
	if len(got) != len(want) {
		t.Errorf("%s: %d rows, the oracle has %d", what, len(got), len(want))
		return
	}
	faults := 0
	for i := range got {
		for column, v := range got[i] {
			if list, ok := v.([]any); ok {
				v = list[0]
			}
			expected, known := want[i][column]
			x, number := v.(float64)
			y, numeric := expected.(float64)
			if faults++; known && (v == expected || number && numeric && math.Abs(x-y) < 1e-7*math.Max(1, math.Abs(y))) {
				faults--
			} else if faults < 4 {
				t.Errorf("%s: row %d, %v: %s is %v, the oracle says %v (known %v)", what, i, want[i], column, v, expected, known)
			}
		}
	}
}

// customers are the customers' events that a query is about.
func customers(all []facts, a *asking) (out []*facts) {
	for i := range all {
		if f := &all[i]; f.fromBuyer && a.takes(f.Event.Time) && a.wants(f) {
			out = append(out, f)
		}
	}
	return out
}

// kept says whether an empty cell is in the answer: only where there are no others.
func kept(a *asking, n int) bool { return n > 0 || a.by == "all" && a.split == "" }

func head(a *asking, c cell, sheets ...sheet) answerRow {
	return answerRow{"time": a.shown(c, sheets...), "tenant": c.tenant, "label": c.label}
}

// Weights are fitted where there is enough to fit them by, and are what the ratings were made with.
func TestWeightsAreFittedWhereRatingsTellThem(t *testing.T) {
	s := open(t)
	rnd := rand.New(rand.NewPCG(4, 4))
	var rows []schemas.Row
	rate := func(tenant string, n int, share float64, hint schemas.Element) {
		for range n {
			rows = append(rows, answer(tenant, uint64(len(rows)+1), func(r *schemas.Row) {
				x := map[schemas.Element]float64{}
				for _, e := range schemas.Elements() {
					if rnd.IntN(3) > 0 {
						x[e] = float64(rnd.IntN(257)-128) / 128
						r.Labels.Mentions = append(r.Labels.Mentions, schemas.Mention{Element: e, Polarity: schemas.Quantise(x[e]), End: 1})
					}
				}
				r.Event.Data.Text, r.Labels.Polarity = "words", schemas.Neutral
				truth := 0.5*x[schemas.Product] + 0.3*x[schemas.Service] - 0.1*x[schemas.Image]
				v := min(max(math.Round(500.5+share*500*truth+rnd.NormFloat64()*100), 1), 1000)
				lo, hi := 1.0, 1000.0
				r.Event.Data.FieldType, r.Event.Data.Number, r.Event.Data.ScaleMin, r.Event.Data.ScaleMax, r.Event.Data.ElementHint = "rating", &v, &lo, &hi, hint
				r.Scores = measure.Measure(r.Event, &r.Labels)
			}))
		}
	}
	rate("few", 190, 1, "")
	rate("told", 2000, 1, "")
	rate("told", 500, 0, schemas.Image) // the source said what these are about
	rate("random", 800, 0, "")
	insert(t, s, rows)
	all := make([]facts, len(rows))
	for i := range rows {
		all[i] = look(&rows[i])
	}
	want := map[string]string{"few": "equal", "told": "fitted", "random": "equal"}
	truth := map[string]float64{"product": 0.5, "service": 0.3, "image": -0.1}
	for _, row := range ask(t, s, "SELECT * FROM satisfaction_weights") {
		tenant, element := row["tenant"].(string), row["element"].(string)
		weights, basis := oracleWeights(all, tenant)
		if row["basis"] != basis || basis != want[tenant] {
			t.Errorf("%s: weights are %v, the oracle says %s, want %s", tenant, row["basis"], basis, want[tenant])
		}
		near(t, tenant+" "+element, row["weight"], weights[slices.Index(parts("element"), element)])
		if c := row["coefficient"].(float64); tenant == "told" && math.Abs(c-truth[element]) > 0.03 {
			t.Errorf("the coefficient of %s is %v, ratings were made with %v", element, c, truth[element])
		}
	}
	utc := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	compareWithOracle(t, s, "satisfaction_index", all, &asking{by: "day", of: "element", tz: "UTC", from: time.Unix(0, 0).UTC(), to: utc})
}
