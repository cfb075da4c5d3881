package clickhouse_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/earshot/earshot/schemas"
)

// The oracle computes every figure a second time, from the events as they were sent and by the words of the definitions:
// one by one, without sums kept anywhere, and sharing no code with the views, the named queries or package measure.

// facts is one event as the oracle sees it.
type facts struct {
	*schemas.Row
	scale     [2]float64
	rating    float64
	csat      float64 // 1, 0.5 or 0
	axis      map[string]float64
	isRating  bool
	isCSAT    bool
	isNPS     bool
	isCES     bool
	effort    float64
	byPerson  bool // who works for the company, in public
	fromBuyer bool
}

// look reads an event.
func look(r *schemas.Row) facts {
	d := &r.Event.Data
	f := facts{Row: r, axis: map[string]float64{}}
	f.fromBuyer = d.ActorKind == "" || d.ActorKind == "customer"
	f.byPerson = d.ActorKind == "agent" && d.Visibility != "internal"
	if !f.fromBuyer {
		return f
	}
	said := map[string][]float64{}
	for _, m := range r.Labels.Mentions {
		for _, part := range []string{"element " + string(m.Element), "facet " + string(m.Facet), "s5 " + string(m.S5)} {
			said[part] = append(said[part], float64(m.Polarity))
		}
	}
	for part, all := range said {
		total := 0.0
		for _, x := range all {
			total += x
		}
		f.axis[part] = math.Round(total/float64(len(all))*128) / 128
	}
	f.rate()
	return f
}

// rate reads the answer on a scale.
func (f *facts) rate() {
	d := &f.Event.Data
	usual := map[string][2]float64{"csat": {1, 5}, "rating": {1, 5}, "nps": {0, 10}, "ces": {1, 7}}
	kind, v := d.FieldType, 0.0
	switch {
	case d.Number == nil && d.Boolean != nil && (kind == "" || kind == "boolean"):
		kind, f.scale = "boolean", [2]float64{0, 1}
		if *d.Boolean {
			v = 1
		}
	case d.Number != nil && (kind == "text" || kind == "date" || kind == "categorical"), d.Number == nil:
		return
	default:
		v, f.scale = *d.Number, usual[kind]
		if d.ScaleMin != nil {
			f.scale = [2]float64{*d.ScaleMin, *d.ScaleMax}
		} else if kind == "number" {
			return
		} else if kind == "" {
			f.scale = usual["rating"]
		}
	}
	lo, hi := f.scale[0], f.scale[1]
	if v < lo || v > hi {
		return
	}
	lower := d.ScaleDir == "lower_better"
	f.isRating, f.rating = true, math.Round(128*(v-(lo+hi)/2)/((hi-lo)/2))/128
	if lower {
		f.rating, v = -f.rating, lo+hi-v
	}
	switch {
	case kind == "nps":
		f.isNPS = lo == 0 && hi == 10 && !lower && v == math.Trunc(v)
	case kind == "ces":
		f.isCES, f.effort = lo == 1 && hi == 7, v
	default:
		f.isCSAT = true
		from := lo + 0.7*(hi-lo)
		if top, known := map[[2]float64]float64{{1, 5}: 4, {1, 7}: 6, {1, 10}: 9, {1, 3}: 3, {0, 1}: 1}[f.scale]; known {
			from = top
		}
		if v >= from {
			f.csat = 1
		} else if v >= (lo+hi)/2 {
			f.csat = 0.5
		}
	}
	f.hints()
}

// hints gives the rating to what the source said it is about.
func (f *facts) hints() {
	d := &f.Event.Data
	give := func(part string) {
		if _, spoken := f.axis[part]; !spoken {
			f.axis[part] = f.rating
		}
	}
	if d.ElementHint != "" {
		give("element " + string(d.ElementHint))
	}
	if d.ElementHint == schemas.Service || d.ElementHint == "" && d.S5Hint != "" {
		if d.S5Hint != "" {
			give("s5 " + string(d.S5Hint))
			give("element service")
		}
		if d.StageHint != "" {
			give("facet " + d.StageHint)
		}
	}
}

// cut is what an event is cut by.
func (f *facts) cut(by string) string {
	d := &f.Event.Data
	switch by {
	case "channel":
		return d.Channel
	case "product":
		return d.ProductID
	case "language":
		return f.Labels.Language
	case "stage":
		if d.StageHint != "" {
			return d.StageHint
		}
		if f.Labels.Stage != "" {
			return string(f.Labels.Stage)
		}
		for _, m := range f.Labels.Mentions {
			if m.Facet.Element() == schemas.Service {
				return string(m.Facet)
			}
		}
		return "none"
	}
	return "all"
}

// asking is with what parameters a query is asked.
type asking struct {
	by, split, of, tz, channel, product, language, stage string
	from, to                                             time.Time
	loc                                                  *time.Location
}

// grain is what the query's time span is rounded to.
func (a *asking) grain() time.Duration {
	if a.by == "minute" || a.tz != "UTC" {
		return time.Minute
	}
	return time.Hour
}

// takes says whether an event at a time is in the span.
func (a *asking) takes(at time.Time) bool {
	at = at.Truncate(a.grain())
	return !at.Before(a.from) && at.Before(a.to)
}

// wants says whether an event passes the filters.
func (a *asking) wants(f *facts) bool {
	for by, want := range map[string]string{"channel": a.channel, "product": a.product, "language": a.language, "stage": a.stage} {
		if want != "" && f.cut(by) != want {
			return false
		}
	}
	return true
}

// period is when the period of an instant begins; all time has the zero time.
func (a *asking) period(at time.Time) time.Time {
	local := at.In(a.loc)
	y, m, d := local.Date()
	switch a.by {
	case "minute":
		return at.Truncate(time.Minute)
	case "hour":
		return local.Add(-time.Duration(local.Minute())*time.Minute - time.Duration(local.Second())*time.Second - time.Duration(local.Nanosecond()))
	case "day":
		return time.Date(y, m, d, 0, 0, 0, 0, a.loc)
	case "week":
		return time.Date(y, m, d-(int(local.Weekday())+6)%7, 0, 0, 0, 0, a.loc)
	case "month":
		return time.Date(y, m, 1, 0, 0, 0, 0, a.loc)
	}
	return time.Time{}
}

// before is the beginning of the period before one.
func (a *asking) before(p time.Time) time.Time {
	switch a.by {
	case "minute":
		return p.Add(-time.Minute)
	case "hour":
		return p.Add(-time.Hour)
	}
	return a.period(p.Add(-time.Hour))
}

// cell is a place in an answer.
type cell struct {
	period              time.Time
	tenant, label, part string
}

// cutGroup is what is in a cell.
type cutGroup struct {
	first  time.Time
	values []float64
	firsts []time.Time
}

// sheet is a column of an answer: the values in each cell.
type sheet map[cell]*cutGroup

func (s sheet) add(a *asking, at time.Time, tenant, label, part string, v ...float64) {
	c := cell{a.period(at).UTC(), tenant, label, part}
	g := s[c]
	if g == nil {
		g = &cutGroup{first: at.Truncate(a.grain())}
		s[c] = g
	}
	if at := at.Truncate(a.grain()); at.Before(g.first) {
		g.first = at
	}
	g.values = append(g.values, v...)
}

func (s sheet) values(c cell) []float64 {
	if g := s[c]; g != nil {
		return g.values
	}
	return nil
}

// cells lists the places in the order of an answer: by tenant, label, part and time.
func (s sheet) cells(others ...sheet) []cell {
	all := map[cell]bool{}
	for _, t := range append(others, s) {
		for c := range t {
			all[c] = true
		}
	}
	out := make([]cell, 0, len(all))
	for c := range all {
		out = append(out, c)
	}
	slices.SortFunc(out, func(x, y cell) int {
		return cmp.Or(cmp.Compare(x.tenant, y.tenant), cmp.Compare(x.label, y.label), cmp.Compare(x.part, y.part), x.period.Compare(y.period))
	})
	return out
}

// shown is how a period is printed: of all time, the first hour that has anything.
func (a *asking) shown(c cell, sheets ...sheet) string {
	at := c.period
	if a.by == "all" {
		at = time.Time{}
		for _, s := range sheets {
			if g := s[c]; g != nil && (at.IsZero() || g.first.Before(at)) {
				at = g.first
			}
		}
		at = at.Truncate(a.grain())
	}
	return at.In(a.loc).Format(time.DateTime)
}

func countOf(vs []float64, is func(float64) bool) (n float64) {
	for _, v := range vs {
		if is(v) {
			n++
		}
	}
	return n
}

func equals(x float64) func(float64) bool { return func(v float64) bool { return v == x } }

func mean(vs []float64) float64 {
	total := 0.0
	for _, v := range vs {
		total += v
	}
	return total / float64(len(vs))
}

// wilsonInterval solves |p - k/n| = z sqrt(p (1-p) / n) for p, in percent.
func wilsonInterval(k, n float64) (low, high float64) {
	a, b, c := 1+z*z/n, -2*k/n-z*z/n, k/n*k/n
	root := math.Sqrt(math.Max(b*b-4*a*c, 0))
	return 100 * math.Max((-b-root)/(2*a), 0), 100 * math.Min((-b+root)/(2*a), 1)
}

// adjusted is mean and variance of the mean of answers of 1, 0 and -1 with three more: three quarters of an answer at each
// end, and three halves in the middle.
func adjusted(up, down, n float64) (middle, variance float64) {
	m := n + 3
	middle = (up + 0.75 - down - 0.75) / m
	for value, weight := range map[float64]float64{1: up + 0.75, 0: n - up - down + 1.5, -1: down + 0.75} {
		variance += weight / m * (value - middle) * (value - middle)
	}
	return middle, variance / m
}

func balanceInterval(up, down, n float64) (low, high float64) {
	middle, variance := adjusted(up, down, n)
	return 100 * math.Max(middle-z*math.Sqrt(variance), -1), 100 * math.Min(middle+z*math.Sqrt(variance), 1)
}

// indexOfScores is the index of scores with twenty pseudo-observations, and half its interval.
func indexOfScores(vs []float64) (index, half float64) {
	var s sums
	for _, v := range vs {
		s.add(schemas.Score{Value: float32(v), Valid: true})
	}
	total := s.n + 20
	m := s.sum / total
	return 50 + 50*m, 50 * z * math.Sqrt(((s.squares+20.0/3)/total-m*m)/total)
}

// answerRow is one row that the oracle expects: a figure, nil for NULL, or a word.
type answerRow map[string]any

func (r answerRow) share(name string, k, n float64) {
	r[name], r[name+"_low"], r[name+"_high"] = nil, nil, nil
	if n > 0 {
		low, high := wilsonInterval(k, n)
		r[name], r[name+"_low"], r[name+"_high"] = 100*k/n, low, high
	}
}

func (r answerRow) balance(name, stem string, up, down, n float64) {
	r[name], r[stem+"_low"], r[stem+"_high"] = nil, nil, nil
	if n > 0 {
		low, high := balanceInterval(up, down, n)
		r[name], r[stem+"_low"], r[stem+"_high"] = 100*(up-down)/n, low, high
	}
}

func scaleName(f *facts) string {
	name := fmt.Sprintf("%v-%v", f.scale[0], f.scale[1])
	if f.Event.Data.ScaleDir == "lower_better" {
		name += ", lowest best"
	}
	return name
}
