package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/classify/train"
	"github.com/earshot/earshot/processors/privacy"
)

type adaptOptions struct {
	tenant, out string
	dry         bool
}

func adaptCommand() command {
	return command{
		name: "adapt", args: "[FILE]", summary: "let the classifier learn from a tenant's corrections",
		help: "Learns from the label.corrected events of the table, or from FILE ({\"text\":…,\"axis\":…,\"new_value\":…} a line). It starts from\nthe shipped model, so FILE must hold all corrections, not only the new ones; of two of one text and axis the last counts, and\ntexts that differ in long numbers only are one. A head is changed only where sign tests on corrections held back find it\nbetter than the shipped model, than the tenant's present one, and than always saying the commonest label. The new model is\nkept in the data folder and used for that tenant from the next start of the workers on.\nExample: earshot adapt --tenant acme corrections.jsonl",
		flags: func(fs *flag.FlagSet) any {
			o := &adaptOptions{}
			fs.StringVar(&o.tenant, "tenant", "", "whose corrections; needed")
			fs.StringVar(&o.out, "out", "", "model file to write; empty: the next version in the data folder")
			fs.BoolVar(&o.dry, "dry-run", false, "say what would come of it and write nothing")
			return o
		},
		run: func(ctx context.Context, env *environment, opts any, args []string) error {
			o := opts.(*adaptOptions)
			if !plainName(o.tenant) {
				return usagef("adapt needs --tenant with the tenant's name")
			}
			if len(args) > 1 {
				return usagef("adapt takes one file, or none")
			}
			return adapt(ctx, env, o, args)
		},
	}
}

// plainName keeps a tenant's name from leaving the folder of models.
func plainName(s string) bool {
	return s != "" && s[0] != '.' && !strings.ContainsAny(s, "/\\\x00")
}

func adapt(ctx context.Context, env *environment, o *adaptOptions, args []string) error {
	corrections, left, err := corrections(ctx, env, o, args)
	if err != nil {
		return err
	}
	sayLeftOut(env.stderr, left)
	c, err := classify.Load()
	if err != nil {
		return err
	}
	present, damaged := soundModel(modelFolder(&env.config, o.tenant), c)
	for _, err := range damaged {
		fmt.Fprintf(env.stderr, "%v\n", err)
	}
	h, outcomes := train.Adapt(c, present, corrections, o.tenant, time.Now().UTC().Format(time.DateOnly))
	for _, x := range outcomes {
		sayOutcome(env.stdout, &x)
	}
	switch {
	case h == nil && len(outcomes) == 0:
		return errors.New("there are no corrections of this tenant; send label.corrected events, or give a file")
	case h == nil:
		return errors.New("no head got better, so the model stays as it is; give more corrections")
	case o.dry:
		return nil
	}
	out := o.out
	if out == "" {
		if out, err = nextModel(&env.config, o.tenant); err != nil {
			return err
		}
	}
	return writeModel(env, c, h, out)
}

// sayLeftOut names the lines that no head can learn from: the first ten, and how many there are.
func sayLeftOut(w io.Writer, left []error) {
	for _, err := range left[:min(len(left), 10)] {
		fmt.Fprintf(w, "left out, %v\n", err)
	}
	if len(left) > 10 {
		fmt.Fprintf(w, "left out, %d lines in all\n", len(left))
	}
}

// sayOutcome says how one head took its corrections, and how it did beside what it had to beat.
func sayOutcome(w io.Writer, x *train.Outcome) {
	fmt.Fprintf(w, "%s: %d corrections", x.Head, x.N)
	if len(x.Rivals) > 0 {
		fmt.Fprintf(w, "; held back in turn: macro-F1 %.3f, accuracy %.3f", x.MacroF1, x.Accuracy)
	}
	if !x.Taken {
		fmt.Fprintf(w, "; not taken: %s", x.Reason)
	}
	fmt.Fprintln(w)
	if x.Missing > 0 {
		fmt.Fprintf(w, "  %d corrections that the present model learned from are missing: give all, or what only they taught is forgotten\n", x.Missing)
	}
	for _, r := range x.Rivals {
		fmt.Fprintf(w, "  beside %s on %d: macro-F1 %.3f, accuracy %.3f; better on %d, worse on %d, p %.4f\n", r.Name, r.N, r.MacroF1, r.Accuracy, r.Won, r.Lost, r.P)
	}
}

// corrected is the newest correction of each label with the text that it is about, the newest last.
const corrected = `SELECT f.text AS text, f.language AS lang, c.axis AS axis, c.new_value AS new_value
FROM (SELECT event_ref, axis, argMax(new_value, (occurred_at, seq)) AS new_value, max((occurred_at, seq)) AS at FROM feedback_current
      WHERE tenant = {tenant:String} AND kind = 'label.corrected' GROUP BY event_ref, axis) AS c
INNER JOIN (SELECT concat(source, '#', source_event_id) AS ref, text, language FROM feedback_current
      WHERE tenant = {tenant:String} AND text != '') AS f ON f.ref = c.event_ref
ORDER BY c.at, c.event_ref, c.axis`

func corrections(ctx context.Context, env *environment, o *adaptOptions, args []string) (out []train.Correction, left []error, err error) {
	if len(args) == 1 {
		in, name, err := openInput(env, args)
		if err != nil {
			return nil, nil, err
		}
		defer in.Close()
		out, left, err = train.ReadCorrections(in)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		return out, left, nil
	}
	var opened closers
	defer func() { err = opened.closeAfter(err) }()
	store, _, err := locateStore(ctx, env, newLogger(&env.config, env.stderr).Level(warnLevel), &opened)
	if err != nil {
		return nil, nil, err
	}
	var rows bytes.Buffer
	if err := store.Query(ctx, corrected, map[string]string{"tenant": o.tenant}, "JSONEachRow", &rows); err != nil {
		return nil, nil, err
	}
	return train.ReadCorrections(strings.NewReader(privacy.Neutral(rows.String())))
}
