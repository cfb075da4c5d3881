package train

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/earshot/earshot/processors/classify"
)

// axisOf is the axis of an evaluation that a head decides on.
var axisOf = map[string]classify.Axis{"sentiment": classify.AxisPolarity, "intent": classify.AxisIntent, "element": classify.AxisElement,
	"stage": classify.AxisStage, "junk": classify.AxisJunk, "churn": classify.AxisChurn}

// measure runs the whole classifier over the files of the plan that are held back (dev) or only measured on (test) and
// returns the scores for the card.
func measure(c *classify.Classifier, plan []Source, open func(string) (io.ReadCloser, error)) ([]classify.CardData, error) {
	var out []classify.CardData
	for i := range plan {
		s := &plan[i]
		if s.Use != "dev" && s.Use != "test" {
			continue
		}
		f, err := open(s.File)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", s.File, err)
		}
		r, err := c.Evaluate(f, axisOf[s.Head], stopped)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.File, err)
		}
		out = append(out, scoreOf(s.File, s.Head+" "+s.Use, r))
	}
	return out, nil
}

// stopped is a clock for evaluations whose speed nobody asks for.
func stopped() time.Time { return time.Time{} }

func scoreOf(file, axis string, r classify.Report) classify.CardData {
	d := classify.CardData{File: file, Axis: axis, Rows: r.N, MacroF1: round(r.MacroF1), Acc: round(r.Accuracy)}
	if r.ECE != nil {
		d.ECE = round(*r.ECE)
	}
	return d
}

func round(x float64) float64 { return float64(int(x*1000+0.5)) / 1000 }

// LeaveOut fits the heads whose rows come from mapped labels of several sources (element, stage, intent) once for each
// source without its rows, and measures on them. Such rows look alike within a source, so only this says what a head
// is worth in a trade that it has not seen. Sources with rows of one class only are left out of the list.
func LeaveOut(c *classify.Classifier, plan []Source, open func(string) (io.ReadCloser, error), o Options) ([]classify.CardData, error) {
	corpora, _, err := gather(plan, open)
	if err != nil {
		return nil, err
	}
	var out []classify.CardData
	for _, spec := range headClasses[1:] {
		t := corpora[spec.Name]
		if t == nil || spec.Name == "junk" || spec.Name == "churn" {
			continue
		}
		for _, source := range sources(t.train) {
			kept := &corpus{dev: t.dev}
			var left bytes.Buffer
			lines := json.NewEncoder(&left)
			seen := map[string]bool{}
			for _, r := range t.train {
				if r.source != source {
					kept.train = append(kept.train, r)
					continue
				}
				seen[r.Label] = true
				if err := lines.Encode(r); err != nil {
					return nil, fmt.Errorf("leave %s out: %w", source, err)
				}
			}
			if len(seen) < 2 || len(kept.train) == 0 {
				continue
			}
			h := c.Heads().Clone()
			trainTopic(c, h, spec, kept, topicOptions(o))
			r, err := c.With(h).Evaluate(&left, axisOf[spec.Name], stopped)
			if err != nil {
				return nil, fmt.Errorf("leave %s out: %w", source, err)
			}
			out = append(out, scoreOf(source, spec.Name+" left out", r))
		}
	}
	return out, nil
}

// sources lists where rows come from, in the order in which they first occur.
func sources(rows []Row) (out []string) {
	for _, r := range rows {
		if !slices.Contains(out, r.source) {
			out = append(out, r.source)
		}
	}
	return out
}
