package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/worker"
	"github.com/earshot/earshot/schemas"
)

// reclassifyFaults makes the test binary 'earshot reclassify' with faults: "flip" (another classifier), "rows=100" (of a
// range), "kill=17" (kill -9 at the 17th boundary of a write), "kill=SetLive" (before that write), "stop=Insert" (SIGSTOP
// there, once), "rival=hold" and "rival=load 2" (another takes this process for dead and ends the switch before that write,
// or before the record is read for the second time). Several are separated by commas.
const reclassifyFaults = "TEST_RECLASSIFY_FAULTS"

// reclassifyFaulty is the command with faults between it and its stores.
func reclassifyFaulty(spec string, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("faulty", flag.ExitOnError)
	o := reclassifyCommand().flags(fs).(*reclassifyOptions)
	fs.Parse(args)
	config, err := LoadConfig()
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	f := &faults{}
	flip := false
	rows := 0
	for s := range strings.SplitSeq(spec, ",") {
		name, value, _ := strings.Cut(s, "=")
		switch name {
		case "flip":
			flip = true
		case "rows":
			rows, _ = strconv.Atoi(value)
		case "kill":
			f.kill = value
		case "stop":
			f.stop = value
		case "rival":
			f.rival = value
		}
	}
	o.change = func(c *worker.ReclassifyConfig) {
		c.BatchRows = rows
		if flip {
			c.Labeller = flipped{c.Labeller}
		}
		if c.Table == nil { // a dry run
			return
		}
		other := *c
		other.Owner, other.Record, other.Shards = "rival", takenForDead{c.Record}, slices.Clone(c.Shards)
		f.finish = func() (bool, error) { return worker.NewReclassifier(other).Finish(context.Background()) }
		c.Table, c.Record = &faultyTable{c.Table, f}, &faultyRecord{c.Record, f}
		for i := range c.Shards {
			c.Shards[i] = &faultyLog{c.Shards[i], f}
		}
	}
	if f.rival != "" {
		defer func() { fmt.Fprintln(stderr, "the rival finished it:", f.finished) }()
	}
	env := &environment{config: config, stdout: stdout, stderr: stderr}
	if err := runReclassify(context.Background(), env, o); err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	return exitOK
}

// flipped is another classifier: what is negative to the first is positive to it, and every complaint is a question.
type flipped struct{ worker.Labeller }

func (flipped) Model() string { return "flipped-1" }

func (f flipped) Classify(in classify.Input) schemas.Labels {
	l := f.Labeller.Classify(in)
	switch l.Polarity {
	case schemas.Negative:
		l.Polarity = schemas.Positive
	case schemas.Positive:
		l.Polarity = schemas.Negative
	}
	if l.Intent == schemas.Complaint {
		l.Intent = schemas.Question
	}
	l.Model = f.Model()
	return l
}

// faults ends or stops the process at a boundary of a write: after the answer of one has come and before the next is sent,
// between which it only reads. What a write that is cut off leaves is the worker's test.
type faults struct {
	kill, stop, rival string
	n, loads          int

	finish   func() (bool, error) // by the rival
	finished bool
}

// takenForDead is the record to one whose question is never answered.
type takenForDead struct{ worker.Record }

func (takenForDead) Alive(context.Context, string) (bool, error) { return false, nil }

// at does a write between two boundaries.
func (f *faults) at(name string, write func() error) error {
	f.boundary(name)
	return write()
}

// killedAt is the last a process says, before the name of the write that it was to begin.
const killedAt = "killed at "

func (f *faults) boundary(name string) {
	f.n++
	if f.kill != "" && (f.kill == name || f.kill == strconv.Itoa(f.n)) {
		fmt.Fprint(os.Stderr, killedAt, name)
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	if f.stop != "" && f.stop == name {
		f.stop = ""
		syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	}
	f.overtake(name)
}

func (f *faults) overtake(name string) {
	if f.rival == "" || f.rival != name || f.finished {
		return
	}
	var err error
	if f.finished, err = f.finish(); err != nil {
		panic(err)
	}
}

type faultyTable struct {
	worker.Table
	f *faults
}

func (t *faultyTable) Insert(ctx context.Context, rows []schemas.Row, token string) error {
	return t.f.at("Insert", func() error { return t.Table.Insert(ctx, rows, token) })
}

func (t *faultyTable) SetLive(ctx context.Context, g uint32) error {
	return t.f.at("SetLive", func() error { return t.Table.SetLive(ctx, g) })
}

func (t *faultyTable) Note(ctx context.Context, g uint32, state, model string) error {
	return t.f.at("Note", func() error { return t.Table.Note(ctx, g, state, model) })
}

func (t *faultyTable) Drop(ctx context.Context, g uint32) error {
	return t.f.at("Drop", func() error { return t.Table.Drop(ctx, g) })
}

type faultyRecord struct {
	worker.Record
	f *faults
}

func (r *faultyRecord) Save(ctx context.Context, g schemas.Generations, expect uint64) (seq uint64, err error) {
	err = r.f.at("Save", func() error { seq, err = r.Record.Save(ctx, g, expect); return err })
	return seq, err
}

func (r *faultyRecord) Load(ctx context.Context) (schemas.Generations, uint64, error) {
	r.f.loads++
	r.f.overtake(fmt.Sprint("load ", r.f.loads))
	return r.Record.Load(ctx)
}

type faultyLog struct {
	worker.Log
	f *faults
}

func (l *faultyLog) Commit(ctx context.Context, cp schemas.Checkpoint, expect uint64, out []schemas.Outcome, done int) (seq uint64, err error) {
	name := "hold"
	if cp.Moving == 0 {
		name = "release"
	}
	err = l.f.at(name, func() error { seq, err = l.Log.Commit(ctx, cp, expect, out, done); return err })
	return seq, err
}

func (l *faultyLog) SavePlan(ctx context.Context, p schemas.Plan, expect uint64) (seq uint64, err error) {
	err = l.f.at("fence", func() error { seq, err = l.Log.SavePlan(ctx, p, expect); return err })
	return seq, err
}
