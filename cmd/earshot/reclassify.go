package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/schemas"
)

type reclassifyOptions struct {
	dryRun, rollback, prune, discard, noSwitch, json bool

	sample int
	grace  time.Duration

	change func(*worker.ReclassifyConfig) // lets a test put faults between the command and its stores; nil: nothing
}

func reclassifyCommand() command {
	return command{
		name: "reclassify", summary: "classify all rows anew and switch to the result",
		help: "Classifies every stored row with this program's classifier into a new generation beside the live one, says which\nlabels change, and switches all views to it in one step. Events go on being taken and stored meanwhile; no insight is\nraised. Cut off at any point, it goes on where it was when it is run again. --rollback goes back, --prune drops what is\nno longer needed for that.\nExample: earshot reclassify --dry-run --sample 5000",
		flags: func(fs *flag.FlagSet) any {
			o := &reclassifyOptions{}
			fs.BoolVar(&o.dryRun, "dry-run", false, "say what would change in a sample and write nothing")
			fs.IntVar(&o.sample, "sample", 10_000, "about how many rows --dry-run classifies")
			fs.BoolVar(&o.noSwitch, "no-switch", false, "build and compare; the next run switches")
			fs.BoolVar(&o.rollback, "rollback", false, "go back to the generation that was live before the last switch")
			fs.BoolVar(&o.discard, "discard", false, "give up a generation that is being built")
			fs.BoolVar(&o.prune, "prune", false, "drop the rows of generations that are not needed any more")
			fs.DurationVar(&o.grace, "grace", 168*time.Hour, "how long after a switch --prune keeps the generation before it")
			fs.BoolVar(&o.json, "json", false, "print one JSON object")
			return o
		},
		run: func(ctx context.Context, env *environment, opts any, args []string) error {
			if err := nothingAfter(args); err != nil {
				return err
			}
			o := opts.(*reclassifyOptions)
			n := 0
			for _, set := range []bool{o.dryRun, o.rollback, o.prune, o.discard} {
				if set {
					n++
				}
			}
			if n > 1 || o.sample < 1 || o.grace < 0 {
				return usagef("takes one of --dry-run, --rollback, --discard and --prune; --sample is at least 1, --grace not negative")
			}
			return runReclassify(ctx, env, o)
		},
	}
}

// reclassified is what the command says at its end.
type reclassified struct {
	From    uint32               `json:"from"`    // the generation that was live
	To      uint32               `json:"to"`      // the other one; 0: none
	Live    uint32               `json:"live"`    // now
	Rows    uint64               `json:"rows"`    // compared
	Model   string               `json:"model"`   // of this program
	Labels  []schemas.Relabelled `json:"labels"`  // what they were and are
	Failed  uint64               `json:"failed"`  // rows that kept their labels because the classifier failed on them
	Dropped []uint32             `json:"dropped"` // generations
	said    string
	carry   bool // it was a rollback
}

func runReclassify(ctx context.Context, env *environment, o *reclassifyOptions) (err error) {
	var opened closers
	defer func() { err = opened.closeAfter(err) }()
	log := newLogger(&env.config, env.stderr).Level(warnLevel)
	classifier, err := loadLabeller(&env.config, -1, log, nil) // nobody waits for it, so that every answer is
	if err != nil {
		return err
	}
	if o.dryRun {
		return dryRun(ctx, env, o, classifier, &opened)
	}
	cfg, err := openReclassify(ctx, env, classifier, log, &opened)
	if err != nil {
		return err
	}
	if o.change != nil {
		o.change(cfg)
	}
	var done atomic.Uint64
	if !o.json && !o.prune && !o.discard {
		p := startProgress(env.stderr, func() int64 { return int64(done.Load()) })
		defer p.stop()
		cfg.Progress = func(n, _ uint64) { done.Store(n) }
	}
	result, err := reclassify(ctx, worker.NewReclassifier(*cfg), o)
	if err != nil {
		return fmt.Errorf("%w\nwhat is done stays done; run the command again to go on", err)
	}
	result.Model = cfg.Labeller.Model()
	return result.print(env.stdout, o.json)
}

// reclassify does what the options say.
func reclassify(ctx context.Context, r *worker.Reclassifier, o *reclassifyOptions) (*reclassified, error) {
	switch {
	case o.prune:
		dropped, err := r.Prune(ctx, time.Now(), o.grace)
		return &reclassified{Dropped: dropped, said: fmt.Sprintf("%d generations were dropped", len(dropped))}, err
	case o.discard:
		return &reclassified{said: "nothing is being built now"}, r.Discard(ctx)
	}
	finished, err := finishFirst(ctx, r)
	if err != nil || finished != nil && (!o.rollback || finished.carry) {
		return finished, err // whatever was asked for, the shards waited for this, and what follows needs another look
	}
	build := r.Build
	if o.rollback {
		build = r.Return
	}
	if err := build(ctx); err != nil {
		return nil, err
	}
	built, err := r.State(ctx)
	if err != nil {
		return nil, err
	}
	c := built.Change
	if c == nil {
		return nil, errors.New("another process has ended what this one was building")
	}
	out := &reclassified{From: built.Live, To: c.To, Live: built.Live, Labels: c.Labels, Rows: comparedRows(c), Failed: c.Failed}
	if o.noSwitch {
		out.said = fmt.Sprintf("generation %d is built beside generation %d, which is live: 'earshot reclassify' switches, --discard gives it up", c.To, built.Live)
		return out, nil
	}
	if err := switchTo(ctx, r, c.To); err != nil {
		return nil, err
	}
	out.Live = c.To
	out.said = fmt.Sprintf("generation %d is live; generation %d is kept for 'earshot reclassify --rollback' until 'earshot reclassify --prune' drops it", c.To, built.Live)
	return out, nil
}

// switchTo makes a generation live that is built. A process that took this one for dead, because it did not answer in time,
// may do it in its place.
func switchTo(ctx context.Context, r *worker.Reclassifier, to uint32) error {
	err := r.Switch(ctx)
	if !errors.Is(err, schemas.ErrLost) {
		return err
	}
	if _, ferr := finishFirst(ctx, r); ferr != nil {
		return errors.Join(err, ferr)
	}
	switch now, serr := r.State(ctx); {
	case serr != nil:
		return errors.Join(err, serr)
	case now.Live != to:
		return err
	}
	return nil
}

// finishFirst ends a switch that was cut off, or waits for the process that is at it; nil: there is none.
func finishFirst(ctx context.Context, r *worker.Reclassifier) (*reclassified, error) {
	var out *reclassified
	for {
		now, err := r.State(ctx)
		c := now.Change
		if err != nil || c == nil || !c.Moving {
			return out, err
		}
		out = &reclassified{From: now.Live, To: c.To, Live: c.To, Labels: c.Labels, Rows: comparedRows(c), Failed: c.Failed, carry: c.Carry,
			said: fmt.Sprintf("the switch to generation %d, which had been cut off, is finished", c.To)}
		done, err := r.Finish(ctx)
		switch {
		case err != nil && !errors.Is(err, schemas.ErrLost):
			return out, err
		case done && err == nil:
			continue
		}
		select { // it is in good hands, such as a running node's, or was finished there just now
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// comparedRows is how many rows were compared: every row has one polarity before and one after.
func comparedRows(c *schemas.Generation) (n uint64) {
	for _, l := range c.Labels {
		if l.Axis == "polarity" {
			n += l.Rows
		}
	}
	return n
}

// dryRun classifies a sample and prints what would change.
func dryRun(ctx context.Context, env *environment, o *reclassifyOptions, by worker.Labeller, opened *closers) error {
	store, _, err := locateStore(ctx, env, newLogger(&env.config, env.stderr).Level(warnLevel), opened)
	if err != nil {
		return err
	}
	if by, err = themed(ctx, store, by); err != nil {
		return err
	}
	if o.change != nil {
		cfg := worker.ReclassifyConfig{Labeller: by}
		o.change(&cfg)
		by = cfg.Labeller
	}
	live, err := store.Live(ctx)
	if err != nil {
		return err
	}
	rows, err := store.Sample(ctx, live, o.sample)
	if err != nil {
		return err
	}
	out := &reclassified{From: live, Live: live, Rows: uint64(len(rows)), Model: by.Model(), Labels: worker.Compare(ctx, rows, by),
		said: "this is a sample; nothing was written"}
	return out.print(env.stdout, o.json)
}

func (r *reclassified) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	if r.Rows > 0 {
		fmt.Fprintf(w, "%d rows of generation %d, classified by %s\n", r.Rows, r.From, r.Model)
		for _, axis := range []string{"polarity", "intent", "element"} {
			if err := printMatrix(w, axis, r.Labels); err != nil {
				return err
			}
		}
	}
	if r.Failed > 0 {
		fmt.Fprintf(w, "%d rows keep the labels they had, because the classifier failed on them\n", r.Failed)
	}
	for _, g := range r.Dropped {
		fmt.Fprintf(w, "dropped generation %d\n", g)
	}
	_, err := fmt.Fprintln(w, r.said)
	return err
}

// printMatrix prints how many rows had which label and have which: a line for each that was, a column for each that is.
func printMatrix(w io.Writer, axis string, all []schemas.Relabelled) error {
	var was, is []string
	cells := map[[2]string]uint64{}
	total, same := uint64(0), uint64(0)
	for _, l := range all {
		if l.Axis != axis {
			continue
		}
		was, is = append(was, l.Was), append(is, l.Is)
		cells[[2]string{l.Was, l.Is}] += l.Rows
		total += l.Rows
		if l.Was == l.Is {
			same += l.Rows
		}
	}
	if total == 0 {
		return nil
	}
	fmt.Fprintf(w, "\n%s: %d of %d change (%.2f %%)\n", axis, total-same, total, 100*float64(total-same)/float64(total))
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "was \\ is\t")
	is = slices.Compact(slices.Sorted(slices.Values(is)))
	for _, x := range is {
		fmt.Fprintf(t, "%s\t", orNone(x))
	}
	fmt.Fprintln(t)
	for _, x := range slices.Compact(slices.Sorted(slices.Values(was))) {
		fmt.Fprintf(t, "%s\t", orNone(x))
		for _, y := range is {
			fmt.Fprintf(t, "%d\t", cells[[2]string{x, y}])
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

func orNone(label string) string {
	if label == "" {
		return "none"
	}
	return label
}
