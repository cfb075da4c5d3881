package train

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/earshot/earshot/processors/classify"
)

// Correction is one label that a person of the tenant corrected or confirmed.
type Correction struct {
	Text  string
	Lang  string
	Head  string // sentiment, intent, element, stage, junk or churn
	Class string
}

// headOf maps the names by which people call an axis to the head.
var headOf = map[string]string{"": "sentiment", "polarity": "sentiment", "sentiment": "sentiment", "intent": "intent", "element": "element",
	"stage": "stage", "facet": "stage", "quality": "junk", "junk": "junk", "churn": "churn"}

// classOf maps what people write to the classes of the heads.
var classOf = map[string]string{"very_negative": "negative", "very_positive": "positive", "suggestion": "request", "churn": "churn_notice",
	"ok": "ham"}

// ReadCorrections reads corrections, one JSON object a line: {"text":…,"axis":…,"new_value":…} as events carry them, or
// {"text":…,"label":…} for polarity. What no head can learn is left out, and left says why, line by line.
func ReadCorrections(r io.Reader) (out []Correction, left []error, err error) {
	err = classify.EachLine(r, func(n int, line []byte) error {
		var c struct {
			Text     string `json:"text"`
			Axis     string `json:"axis"`
			NewValue string `json:"new_value"`
			Label    string `json:"label"`
			Language string `json:"language"`
			Lang     string `json:"lang"`
		}
		if err := classify.DecodeLine(line, &c); err != nil && line != nil {
			return fmt.Errorf("line %d: %w; each must be {\"text\":…,\"axis\":…,\"new_value\":…}", n, err)
		} else if err != nil {
			left = append(left, fmt.Errorf("line %d: %w", n, err))
			return nil
		}
		x := Correction{Text: c.Text, Lang: cmp.Or(c.Language, c.Lang), Head: headOf[classify.PlainLabel(c.Axis)], Class: classify.PlainLabel(cmp.Or(c.NewValue, c.Label))}
		classes, ok := classesOf(x.Head)
		if to, is := classOf[x.Class]; is && !slices.Contains(classes, x.Class) {
			x.Class = to
		}
		switch {
		case !ok:
			left = append(left, fmt.Errorf("line %d: axis %q is learned by no head; these are: polarity, intent, element, stage, quality, churn", n, c.Axis))
		case !slices.Contains(classes, x.Class):
			left = append(left, fmt.Errorf("line %d: new_value %q is no class of %s, which are: %s", n, cmp.Or(c.NewValue, c.Label), x.Head, strings.Join(classes, ", ")))
		case strings.TrimSpace(x.Text) == "":
			left = append(left, fmt.Errorf("line %d: text is empty", n))
		default:
			out = append(out, x)
		}
		return nil
	})
	return out, left, err
}
