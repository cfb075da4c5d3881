package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/classify/train"
)

type trainOptions struct {
	dir, out string
	leaveOut bool
	fit      train.Options
}

func trainCommand() command {
	return command{
		name: "train", args: "PLAN", summary: "train the classifier's heads from labelled texts",
		help: "Reads a plan (head, use, file, label map, weight, licence, origin; tabs between) and the labelled JSONL files it\nnames, fits the heads, and writes a model file and its card. Files marked dev are held back: the\ntemperatures are fitted on them, that of polarity on each source as a model reads it that was fitted without it.\nThe card says how the model does on each, and on those marked test.\nExample: earshot train --dir ../data --out model.bin processors/classify/train/plan.tsv",
		flags: func(fs *flag.FlagSet) any {
			o := &trainOptions{fit: train.DefaultOptions()}
			fs.StringVar(&o.dir, "dir", ".", "folder of the files that the plan names")
			fs.StringVar(&o.out, "out", "model.bin", "model file to write; its card is written beside it")
			fs.BoolVar(&o.leaveOut, "leave-out", false, "also fit element, stage and intent without each source in turn and measure on it")
			fs.IntVar(&o.fit.Epochs, "epochs", o.fit.Epochs, "passes over the rows")
			fs.IntVar(&o.fit.Runs, "runs", o.fit.Runs, "fits with other seeds whose weights are averaged")
			fs.Float64Var(&o.fit.Rate, "rate", o.fit.Rate, "step size")
			fs.Float64Var(&o.fit.Decay, "decay", o.fit.Decay, "pull of learned weights towards zero")
			fs.Float64Var(&o.fit.TopicDecay, "topic-decay", o.fit.TopicDecay, "pull of learned weights of the topic heads towards zero")
			fs.Float64Var(&o.fit.TopicPull, "topic-pull", o.fit.TopicPull, "pull of their dense weights towards what the rules say")
			fs.Float64Var(&o.fit.Drop, "drop", o.fit.Drop, "share of learned features left out of a step")
			fs.Float64Var(&o.fit.Balance, "balance", o.fit.Balance, "0: rows as they are; 1: every class weighs the same")
			return o
		},
		run: func(_ context.Context, env *environment, opts any, args []string) error {
			o := opts.(*trainOptions)
			if len(args) != 1 {
				return usagef("train takes one plan")
			}
			return trainModel(env, o, args[0])
		},
	}
}

func trainModel(env *environment, o *trainOptions, plan string) error {
	f, err := os.Open(plan)
	if err != nil {
		return fmt.Errorf("open plan: %w", err)
	}
	sources, err := train.ReadPlan(f)
	f.Close()
	if err != nil {
		return err
	}
	c, err := classify.LoadRules()
	if err != nil {
		return err
	}
	open := func(name string) (io.ReadCloser, error) { return os.Open(filepath.Join(o.dir, name)) }
	say := func(format string, args ...any) { fmt.Fprintf(env.stderr, format+"\n", args...) }
	h, err := train.Train(c, sources, open, o.fit, time.Now().UTC().Format(time.DateOnly), say)
	if err != nil {
		return err
	}
	if o.leaveOut {
		left, err := train.LeaveOut(c.With(h), sources, open, o.fit)
		if err != nil {
			return err
		}
		h.Card.Scores = append(h.Card.Scores, left...)
	}
	for _, s := range h.Card.Scores {
		fmt.Fprintf(env.stdout, "%-22s %-60s %6d rows: macro-F1 %.3f, accuracy %.3f\n", s.Axis, s.File, s.Rows, s.MacroF1, s.Acc)
	}
	return writeModel(env, c, h, o.out)
}

// writeModel writes a model file and its card, and says how large it is.
func writeModel(env *environment, c *classify.Classifier, h *classify.Heads, out string) error {
	file, err := h.Marshal()
	if err != nil {
		return err
	}
	if h, err = classify.UnmarshalHeads(file); err != nil {
		return err
	}
	card, err := json.MarshalIndent(h.Card, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(out+".card.json", append(card, '\n'), 0o644); err != nil {
		return fmt.Errorf("write model card: %w", err)
	}
	err = os.WriteFile(out+".new", file, 0o644) // a start in the midst of it must not find half a model
	if err == nil {
		err = os.Rename(out+".new", out)
	}
	if err != nil {
		return fmt.Errorf("write model: %w", err)
	}
	_, err = fmt.Fprintf(env.stdout, "%s: %s, %d bytes\n", out, c.With(h).Model(), len(file))
	return err
}
