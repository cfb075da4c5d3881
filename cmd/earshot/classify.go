package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/measure"
	"github.com/earshot/earshot/schemas"
)

func classifyCommand() command {
	return command{
		name: "classify", args: "[FILE]", summary: "classify texts, one JSON object a line",
		help: "Reads an object a line from FILE or standard input and writes one with its labels a line. A bad line is reported with\n" +
			"its number, the rest is classified all the same, and the exit code is 1.\n\n" +
			"text or rating must be given. rating is on the scale 1–5, or on scale_min–scale_max where the line gives them; with it,\n" +
			"rating_disagrees says whether the words point the other way. What else a line may give: id (comes back as it is),\n" +
			"language, channel, field_type, question_text, actor_kind, stage_hint (presale, sale, aftersale), order_state\n" +
			"(quoted, placed, paid, shipped, delivered, returned, refunded), element_hint (product, service, image) and\n" +
			"s5_hint (smile, speed, sincerity, smart, study), as in events.\n" +
			"Example: echo '{\"text\":\"Nobody answered for three days\"}' | earshot classify",
		flags: func(fs *flag.FlagSet) any {
			o := &classifyOptions{}
			fs.StringVar(&o.model, "model", "", "model file of train or adapt; empty: the one in the program")
			return o
		},
		run: func(_ context.Context, env *environment, opts any, args []string) error {
			if len(args) == 0 {
				args = []string{"-"}
			}
			in, name, err := openInput(env, args)
			if err != nil {
				return err
			}
			defer in.Close()
			c, err := loadClassifier(opts.(*classifyOptions).model)
			if err != nil {
				return err
			}
			return classifyLines(c, in, name, env.stdout, env.stderr)
		},
	}
}

type classifyOptions struct{ model string }

func classifyLines(c *classify.Classifier, in io.Reader, name string, out, faults io.Writer) error {
	w := bufio.NewWriter(out)
	bad := 0
	err := eachLine(in, func(n int, line []byte) error {
		b, err := classifyLine(c, line)
		if err != nil {
			bad++
			fmt.Fprintf(faults, "%s, line %d: %v\n", name, n, err)
			return nil
		}
		_, err = w.Write(append(b, '\n'))
		return err
	})
	if err := errors.Join(err, w.Flush()); err != nil {
		return err
	}
	if bad > 0 {
		return errReported
	}
	return nil
}

// textLine is one line of 'earshot classify'.
type textLine struct {
	ID          json.RawMessage `json:"id"`
	Text        *string         `json:"text"`
	Language    string          `json:"language"`
	Channel     string          `json:"channel"`
	Rating      *float64        `json:"rating"`
	ScaleMin    *float64        `json:"scale_min"`
	ScaleMax    *float64        `json:"scale_max"`
	FieldType   string          `json:"field_type"`
	Question    string          `json:"question_text"`
	ActorKind   string          `json:"actor_kind"`
	StageHint   string          `json:"stage_hint"`
	OrderState  string          `json:"order_state"`
	ElementHint schemas.Element `json:"element_hint"`
	S5Hint      schemas.S5      `json:"s5_hint"`
}

// classifyLine labels one line. A rating without a scale is one of five.
func classifyLine(c *classify.Classifier, line []byte) ([]byte, error) {
	if line == nil {
		return nil, errLongLine
	}
	if !utf8.Valid(line) {
		return nil, errors.New("is not UTF-8; convert the file, for example with iconv")
	}
	var in textLine
	if err := json.Unmarshal(line, &in); err != nil {
		return nil, fmt.Errorf(`is not an object such as {"text":"…","language":"en","rating":4}: %w`, jsonFault(err))
	}
	if in.Text == nil && in.Rating == nil {
		return nil, errors.New("has neither text nor rating")
	}
	if err := in.checkHints(); err != nil {
		return nil, err
	}
	e := schemas.Event{Kind: schemas.FeedbackReceived, Data: schemas.Data{FieldType: in.FieldType, Number: in.Rating, ScaleMin: in.ScaleMin, ScaleMax: in.ScaleMax, ActorKind: in.ActorKind}}
	if e.Data.FieldType == "" {
		e.Data.FieldType = "rating"
	}
	input := classify.Input{Kind: e.Kind, Language: in.Language, Channel: in.Channel, FieldType: in.FieldType, QuestionText: in.Question,
		ActorKind: in.ActorKind, StageHint: in.StageHint, ElementHint: in.ElementHint, S5Hint: in.S5Hint, Rating: measure.Rating(&e)}
	if in.StageHint == "" {
		input.StageHint = stageOfOrder[in.OrderState]
	}
	if in.Text != nil {
		input.Text = *in.Text
	}
	if in.Rating != nil && !input.Rating.Valid && input.ActorKind == "" {
		return nil, fmt.Errorf("rating %g is off its scale; the scale is 1–5 unless scale_min and scale_max say otherwise", *in.Rating)
	}
	labels := c.Classify(input)
	out := struct {
		ID json.RawMessage `json:"id,omitempty"`
		classify.Line
		RatingDisagrees *bool `json:"rating_disagrees,omitempty"`
	}{ID: in.ID, Line: classify.NewLine(&labels)}
	if in.Rating != nil {
		scores := measure.Measure(&e, &labels)
		out.RatingDisagrees = &scores.RatingDisagrees
	}
	return json.Marshal(out)
}

// stageOfOrder is the stage that the state of the order puts a customer in.
var stageOfOrder = map[string]string{"quoted": "presale", "placed": "sale", "paid": "sale", "shipped": "sale",
	"delivered": "aftersale", "returned": "aftersale", "refunded": "aftersale"}

// checkHints refuses a hint that would be no label.
func (in *textLine) checkHints() error {
	for _, h := range []struct {
		name, value string
		known       []string
	}{
		{"stage_hint", in.StageHint, []string{"presale", "sale", "aftersale"}},
		{"order_state", in.OrderState, slices.Sorted(maps.Keys(stageOfOrder))},
		{"element_hint", string(in.ElementHint), []string{"product", "service", "image"}},
		{"s5_hint", string(in.S5Hint), []string{"smile", "speed", "sincerity", "smart", "study"}},
	} {
		if h.value != "" && !slices.Contains(h.known, h.value) {
			return fmt.Errorf("%s %q is none of %s", h.name, h.value, strings.Join(h.known, ", "))
		}
	}
	return nil
}

// jsonFault says what is wrong with a line in the words of JSON, not of Go.
func jsonFault(err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err
	}
	if wrong.Field == "" {
		return fmt.Errorf("found %s", wrong.Value)
	}
	return fmt.Errorf("%s: found %s, wanted %s", wrong.Field, wrong.Value, strings.TrimPrefix(wrong.Type.String(), "*"))
}
