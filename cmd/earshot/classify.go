package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/measure"
	"github.com/earshot/earshot/schemas"
)

func classifyCommand() command {
	return command{
		name: "classify", args: "[FILE]", summary: "classify texts, one JSON object a line",
		help: "Reads {\"text\":…,\"language\":…,\"rating\":…} a line from FILE or standard input and writes one JSON object a line.\nrating is on the scale 1–5, or on scale_min–scale_max where the line gives them.\nExample: echo '{\"text\":\"Nobody answered for three days\"}' | earshot classify",
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
	err := lines(in, name, func(n int, line []byte) error {
		input, err := classifyInput(line)
		if err != nil {
			bad++
			fmt.Fprintf(faults, "%s, line %d: %v\n", name, n, err)
			return nil
		}
		labels := c.Classify(input)
		b, err := json.Marshal(classify.NewLine(&labels))
		if err != nil {
			return err
		}
		_, err = w.Write(append(b, '\n'))
		return err
	})
	if err == nil {
		err = w.Flush()
	}
	if err == nil && bad > 0 {
		return errReported
	}
	return err
}

// classifyInput reads one line of 'earshot classify'. A rating without a scale is one of five.
func classifyInput(line []byte) (classify.Input, error) {
	var in struct {
		Text      *string  `json:"text"`
		Language  string   `json:"language"`
		Channel   string   `json:"channel"`
		Rating    *float64 `json:"rating"`
		ScaleMin  *float64 `json:"scale_min"`
		ScaleMax  *float64 `json:"scale_max"`
		FieldType string   `json:"field_type"`
		Question  string   `json:"question"`
	}
	if err := json.Unmarshal(line, &in); err != nil {
		return classify.Input{}, fmt.Errorf(`is not an object such as {"text":"…","language":"en","rating":4}: %w`, jsonFault(err))
	}
	if in.Text == nil && in.Rating == nil {
		return classify.Input{}, errors.New("has neither text nor rating")
	}
	out := classify.Input{Kind: schemas.FeedbackReceived, Language: in.Language, Channel: in.Channel, FieldType: in.FieldType, QuestionText: in.Question}
	if in.Text != nil {
		out.Text = *in.Text
	}
	if in.Rating != nil {
		e := schemas.Event{Data: schemas.Data{FieldType: in.FieldType, Number: in.Rating, ScaleMin: in.ScaleMin, ScaleMax: in.ScaleMax}}
		if e.Data.FieldType == "" {
			e.Data.FieldType = "rating"
		}
		out.Rating = measure.Rating(&e)
		if !out.Rating.Valid {
			return classify.Input{}, fmt.Errorf("rating %g is off its scale; the scale is 1–5 unless scale_min and scale_max say otherwise", *in.Rating)
		}
	}
	return out, nil
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
