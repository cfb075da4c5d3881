package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/earshot/earshot/processors/classify"
)

func evaluateCommand() command {
	return command{
		name: "evaluate", args: "FILE", summary: "measure the classifier on labelled texts",
		help: "Reads labelled JSONL ({\"text\":…,\"label\":…} a line) and prints accuracy, precision, recall and F1 per class,\nthe confusion matrix, calibration and speed.\nExample: earshot evaluate reviews.jsonl",
		flags: func(fs *flag.FlagSet) any {
			o := &evaluateOptions{}
			fs.BoolVar(&o.json, "json", false, "print one JSON object")
			fs.StringVar(&o.axis, "axis", "", "what the labels say, such as polarity, element, intent, s5 or stage; default: found out from them")
			fs.StringVar(&o.model, "model", "", "model file of train or adapt; empty: the one in the program")
			return o
		},
		run: func(_ context.Context, env *environment, opts any, args []string) error {
			o := opts.(*evaluateOptions)
			if o.axis != "" && !slices.Contains(classify.Axes(), classify.Axis(o.axis)) {
				return usagef("--axis takes one of %v, not %q", classify.Axes(), o.axis)
			}
			in, name, err := openInput(env, args)
			if err != nil {
				return err
			}
			defer in.Close()
			c, err := loadClassifier(o.model)
			if err != nil {
				return err
			}
			report, err := c.Evaluate(in, classify.Axis(o.axis), processorTime)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if o.json {
				return json.NewEncoder(env.stdout).Encode(report)
			}
			_, err = fmt.Fprint(env.stdout, report)
			return err
		},
	}
}

// processorTime is a clock that stands still while the process does not run: the processor time it has used.
func processorTime() time.Time {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return time.Time{}
	}
	return time.Unix(0, u.Utime.Nano()+u.Stime.Nano())
}

type evaluateOptions struct {
	json        bool
	axis, model string
}

// loadClassifier returns the classifier of the program, with the weights of a model file if one is named.
func loadClassifier(model string) (*classify.Classifier, error) {
	if model == "" {
		return classify.Load()
	}
	h, err := readModel(model)
	if err != nil {
		return nil, err
	}
	c, err := classify.LoadRules()
	if err != nil {
		return nil, err
	}
	return c.With(h), nil
}
