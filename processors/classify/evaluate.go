package classify

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Axis is a label of [schemas.Labels] that labelled rows can be compared with.
type Axis string

// The axes that [Classifier.Evaluate] knows; [AxisAuto] takes the first one that has all labels of the first rows.
const (
	AxisAuto     Axis = ""
	AxisPolarity Axis = "polarity"
	AxisElement  Axis = "element"
	AxisIntent   Axis = "intent"
	AxisS5       Axis = "s5"
	AxisStage    Axis = "stage"
	AxisJunk     Axis = "junk"      // spam or ham
	AxisChurn    Axis = "churn"     // churn or non-churn: a risk of 0.5 or more
	AxisComplain Axis = "complaint" // complaint or non-complaint
	AxisSuggest  Axis = "suggestion"
	AxisEffort   Axis = "effort" // high, low or none: what it cost the customer
)

// Axes lists the axes that can be compared, in the order in which they are tried.
func Axes() []Axis {
	return []Axis{AxisPolarity, AxisElement, AxisIntent, AxisS5, AxisStage, AxisJunk, AxisChurn, AxisComplain, AxisSuggest, AxisEffort}
}

// axisLabels maps the labels that a file may use to the classes of an axis.
var axisLabels = map[Axis]map[string]string{
	AxisPolarity: {"negative": "negative", "neutral": "neutral", "positive": "positive", "very_negative": "negative", "very_positive": "positive"},
	AxisElement:  {"product": "product", "service": "service", "image": "image", "unspecified": "unspecified"},
	AxisIntent: {"complaint": "complaint", "praise": "praise", "question": "question", "request": "request", "suggestion": "request",
		"churn": "churn_notice", "churn_notice": "churn_notice", "other": "other"},
	AxisS5:       {"smile": "smile", "speed": "speed", "sincerity": "sincerity", "smart": "smart", "study": "study", "none": "none"},
	AxisStage:    {"presale": "presale", "sale": "sale", "aftersale": "aftersale", "none": "none"},
	AxisJunk:     {"spam": "spam", "ham": "ham", "ok": "ham"},
	AxisChurn:    {"churn": "churn", "non-churn": "non-churn", "leave": "churn", "stay": "non-churn"},
	AxisComplain: {"complaint": "complaint", "non-complaint": "non-complaint"},
	AxisSuggest:  {"suggestion": "suggestion", "non-suggestion": "non-suggestion"},
	AxisEffort:   {"high": "high", "low": "low", "none": "none"},
}

// Class is how one class of an axis fared.
type Class struct {
	Name      string  `json:"name"`
	N         int     `json:"n"` // rows that bear the label
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`
}

// Report is the outcome of an evaluation.
type Report struct {
	Model       string         `json:"model"`
	Axis        Axis           `json:"axis"`
	N           int            `json:"n"`                  // rows compared
	Unmapped    map[string]int `json:"unmapped,omitempty"` // labels that the axis does not know, with their rows: not compared, not hidden
	TooLong     int            `json:"too_long,omitempty"` // lines of more than [MaxLine] bytes: not compared either
	Accuracy    float64        `json:"accuracy"`
	MacroF1     float64        `json:"macro_f1"` // over the classes that occur in the file
	MacroRecall float64        `json:"macro_recall"`
	ECE         *float64       `json:"ece,omitempty"`    // expected calibration error in 10 bins; nil where the axis gives no probability
	PerSecond   float64        `json:"texts_per_second"` // texts classified in one second of the caller's clock, on one core
	TwoClass    bool           `json:"two_class"`        // the file knows no neutral: the sign of the score decided
	Classes     []Class        `json:"classes"`
	Confusion   [][]int        `json:"confusion"`        // [label][predicted], in the order of Classes
	Shares      *Shares        `json:"shares,omitempty"` // of negative texts in groups; nil on other axes and in small files
}

// evalRow is the part of a labelled row that is read.
type evalRow struct {
	Text  *string `json:"text"`
	Label string  `json:"label"`
	Lang  string  `json:"lang"`

	// A row may instead name its label of each axis.
	Polarity string   `json:"polarity"`
	Element  string   `json:"element"`
	Intent   string   `json:"intent"`
	Stage    string   `json:"stage"`
	Effort   string   `json:"effort"`
	S5       []string `json:"s5"` // the first is compared

	line int
}

// label is the row's label on an axis, without blanks around it, in lower case.
func (r *evalRow) label(axis Axis) string { return PlainLabel(r.given(axis)) }

// given is the row's label on an axis as the file has it.
func (r *evalRow) given(axis Axis) string {
	switch {
	case r.Label != "":
		return r.Label
	case axis == AxisElement:
		return r.Element
	case axis == AxisIntent:
		return r.Intent
	case axis == AxisStage:
		return r.Stage
	case axis == AxisEffort:
		return r.Effort
	case axis == AxisS5 && len(r.S5) > 0:
		return r.S5[0]
	case axis == AxisPolarity:
		return r.Polarity
	}
	return ""
}

// Evaluate compares the classifier with labelled rows, one JSON object {"text","label","lang"} a line. A "suggestion" is
// compared as a request and "churn" as a churn notice. A file without neutral rows is judged by the sign of the score.
// Labels may have blanks around them and capitals. An error names the line. now is the clock that the rate is taken with: time.Now, or a clock of the processor time used.
func (c *Classifier) Evaluate(r io.Reader, axis Axis, now func() time.Time) (Report, error) {
	rep := Report{Model: c.model, Axis: axis, Unmapped: map[string]int{}}
	rows, err := rep.read(r)
	if err != nil {
		return rep, err
	}
	if rep.Axis == AxisAuto {
		rep.Axis = guessAxis(rows)
	}
	names, ok := axisLabels[rep.Axis]
	if !ok {
		return rep, fmt.Errorf("evaluate: unknown axis %q; use one of %v", rep.Axis, Axes())
	}
	var kept []evalRow
	neutral := false
	for _, row := range rows {
		label, ok := names[row.label(rep.Axis)]
		if !ok {
			rep.Unmapped[row.label(rep.Axis)]++
			continue
		}
		row.Label = label
		neutral = neutral || label == "neutral"
		kept = append(kept, row)
	}
	if len(kept) == 0 && len(rows) > 0 {
		return rep, fmt.Errorf(`evaluate: no row has a label of this axis: line %d has %q, want one of %s; each line must be {"text":…,"label":…}`,
			rows[0].line, rows[0].given(rep.Axis), strings.Join(slices.Sorted(maps.Keys(names)), ", "))
	}
	if len(kept) == 0 {
		return rep, errors.New(`evaluate: there are no rows; each line must be {"text":…,"label":…}`)
	}
	rep.TwoClass = rep.Axis == AxisPolarity && !neutral
	count := map[[2]string]int{}
	var bins [10]struct{ n, right, confidence float64 }
	var judged []shareRow
	var l schemas.Labels
	start := now()
	for _, row := range kept {
		c.ClassifyInto(Input{Text: *row.Text, Language: row.Lang}, &l)
		got, sure := predicted(&l, rep.Axis, rep.TwoClass)
		count[[2]string{row.Label, got}]++
		if rep.Axis == AxisPolarity {
			p := float64(l.Probabilities[0])
			if rep.TwoClass {
				p /= float64(l.Probabilities[0] + l.Probabilities[2])
			}
			judged = append(judged, shareRow{row.Label == "negative", got == "negative", p})
		}
		if sure >= 0 {
			b := &bins[min(9, int(sure*10))]
			b.n++
			b.confidence += sure
			if got == row.Label {
				b.right++
			}
		}
	}
	if d := now().Sub(start).Seconds(); d > 0 {
		rep.PerSecond = float64(len(kept)) / d
	}
	rep.N = len(kept)
	rep.Shares = shares(judged)
	rep.tally(count)
	var ece, n float64
	for _, b := range bins {
		ece += math.Abs(b.right - b.confidence)
		n += b.n
	}
	if n > 0 {
		ece /= n
		rep.ECE = &ece
	}
	return rep, nil
}

// read reads the labelled rows of a file.
func (r *Report) read(in io.Reader) (rows []evalRow, err error) {
	err = EachLine(in, func(n int, line []byte) error {
		if line == nil {
			r.TooLong++
			return nil
		}
		row := evalRow{line: n}
		err := DecodeLine(line, &row)
		if err == nil && row.Text == nil {
			err = errors.New(`has no text; each line must be {"text":…,"label":…}`)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		rows = append(rows, row)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	return rows, nil
}

// guessAxis takes the axis that knows most of the labels.
func guessAxis(rows []evalRow) Axis {
	best, most := AxisPolarity, -1
	for _, axis := range Axes() {
		n := 0
		for i := range rows {
			if _, ok := axisLabels[axis][rows[i].label(axis)]; ok {
				n++
			}
		}
		if n > most {
			best, most = axis, n
		}
	}
	return best
}

func either(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

// predicted returns the class of the labels on the axis and how sure it is, −1 where there is no probability.
func predicted(l *schemas.Labels, axis Axis, two bool) (string, float64) {
	switch axis {
	case AxisElement:
		return string(l.Element), -1
	case AxisIntent:
		return string(l.Intent), float64(l.IntentConfidence)
	case AxisS5:
		best, most := "none", float32(-1)
		for _, m := range l.Mentions {
			if w := m.Confidence * (0.3 + abs(m.Polarity)); m.S5 != "" && w > most {
				best, most = string(m.S5), w
			}
		}
		return best, -1
	case AxisStage:
		return string(l.Stage), float64(l.StageConfidence)
	case AxisJunk:
		return either(l.Quality == schemas.QualitySpam, "spam", "ham"), -1
	case AxisChurn:
		return either(l.ChurnRisk >= 0.5, "churn", "non-churn"), -1
	case AxisComplain:
		return either(l.Intent == schemas.Complaint || l.Intent == schemas.ChurnNotice, "complaint", "non-complaint"), -1
	case AxisEffort:
		return either(l.Effort < 0, "high", either(l.Effort > 0, "low", "none")), -1
	case AxisSuggest:
		return either(l.Intent == schemas.Request, "suggestion", "non-suggestion"), -1
	}
	if two {
		p, n := float64(l.Probabilities[2]), float64(l.Probabilities[0])
		if l.Score > 0 {
			return "positive", p / (p + n)
		}
		return "negative", n / (p + n)
	}
	return string(l.Polarity), float64(l.Confidence)
}

// tally fills the classes and the means from the pairs (label, predicted).
func (r *Report) tally(count map[[2]string]int) {
	labelled, all := map[string]bool{}, map[string]bool{}
	for k := range count {
		labelled[k[0]], all[k[0]], all[k[1]] = true, true, true
	}
	var names []string
	for k := range all {
		names = append(names, k)
	}
	sort.Strings(names)
	right, kinds := 0, 0
	for _, name := range names {
		var row []int
		c := Class{Name: name}
		got := 0
		for _, other := range names {
			row = append(row, count[[2]string{name, other}])
			c.N += count[[2]string{name, other}]
			got += count[[2]string{other, name}]
		}
		hit := count[[2]string{name, name}]
		right += hit
		if got > 0 {
			c.Precision = float64(hit) / float64(got)
		}
		if c.N > 0 {
			c.Recall = float64(hit) / float64(c.N)
		}
		if hit > 0 {
			c.F1 = 2 * c.Precision * c.Recall / (c.Precision + c.Recall)
		}
		if labelled[name] {
			kinds++
			r.MacroF1 += c.F1
			r.MacroRecall += c.Recall
		}
		r.Classes = append(r.Classes, c)
		r.Confusion = append(r.Confusion, row)
	}
	r.Accuracy = float64(right) / float64(r.N)
	r.MacroF1 /= float64(kinds)
	r.MacroRecall /= float64(kinds)
}

// String returns the report as a table for people.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "model %s, axis %s, %d rows", r.Model, r.Axis, r.N)
	if r.TwoClass {
		b.WriteString(", no neutral rows: the sign of the score decides")
	}
	fmt.Fprintf(&b, "\naccuracy %.3f   macro-F1 %.3f   macro-recall %.3f", r.Accuracy, r.MacroF1, r.MacroRecall)
	if r.ECE != nil {
		fmt.Fprintf(&b, "   calibration error %.3f", *r.ECE)
	}
	if r.PerSecond > 0 {
		fmt.Fprintf(&b, "   %.0f texts per CPU-second", r.PerSecond)
	}
	fmt.Fprintf(&b, "\n\n%-14s %7s %9s %7s %7s   predicted:", "class", "n", "precision", "recall", "F1")
	for _, c := range r.Classes {
		fmt.Fprintf(&b, " %12s", c.Name)
	}
	b.WriteByte('\n')
	for i, c := range r.Classes {
		fmt.Fprintf(&b, "%-14s %7d %9.3f %7.3f %7.3f             ", c.Name, c.N, c.Precision, c.Recall, c.F1)
		for _, n := range r.Confusion[i] {
			fmt.Fprintf(&b, " %12d", n)
		}
		b.WriteByte('\n')
	}
	if r.Shares != nil {
		r.Shares.write(&b)
	}
	if r.TooLong > 0 {
		fmt.Fprintf(&b, "not compared, longer than %d bytes: %d lines\n", MaxLine, r.TooLong)
	}
	if len(r.Unmapped) > 0 {
		var names []string
		total := 0
		for k, n := range r.Unmapped {
			names = append(names, fmt.Sprintf("%q %d", k, n))
			total += n
		}
		slices.Sort(names)
		if len(names) > 20 {
			names = append(names[:20], "…")
		}
		fmt.Fprintf(&b, "not compared, label unknown to the axis: %d rows (%s)\n", total, strings.Join(names, ", "))
	}
	return b.String()
}
