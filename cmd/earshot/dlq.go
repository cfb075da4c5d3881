package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/alerts"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/deadletter"
)

// dlqOptions are the flags of the verbs of 'earshot dlq'; each verb takes some of them.
type dlqOptions struct {
	filter deadletter.Filter
	all    bool
	again  bool
	json   bool
	body   bool
	file   string
	header paramFlags
}

func dlqCommand() command {
	return command{
		name: "dlq", args: "list|show|replay|discard [flags] [ID …]", summary: "list, show, replay or discard dead letters",
		help: "Dead letters are events that could not be stored. An ID is SHARD-SEQUENCE, the place of the original in the log.\n" +
			"Alerts that a receiver could not be told of are letters too: alerts-17; replayed, they are delivered again.\n" +
			"  list     one letter a line, with what was decided about it: open, replayed or discarded\n" +
			"  show     one letter with everything it holds; --body prints the original bytes and nothing else\n" +
			"  replay   send the original bytes and headers into the log again, once however often it is called;\n" +
			"           --file sends a mended event in their place; an event that dies again has a letter of its own, which\n" +
			"           is replayed only by its ID or with --again, so that a second call sends nothing that failed in the first\n" +
			"  discard  note that letters are not wanted; they stay listed, and can still be replayed with --state discarded\n" +
			"replay and discard want a filter, IDs or --all. 'earshot dlq list -h' tells the filters. They say of each ID that\n" +
			"is dealt with already what became of it, and exit with 1 for one that is not there.\n" +
			"Example: earshot dlq show --body 0-17 > event.json; $EDITOR event.json; earshot dlq replay --file event.json 0-17",
		run: func(ctx context.Context, env *environment, _ any, args []string) error {
			if len(args) == 0 {
				return usagef("takes list, show, replay or discard; 'earshot dlq -h' tells more")
			}
			verb, o := args[0], &dlqOptions{header: paramFlags{}}
			run := map[string]func(context.Context, *environment, *dlqOptions) error{
				"list": dlqList, "show": dlqShow, "replay": dlqReplay, "discard": dlqDiscard,
			}[verb]
			if run == nil {
				return usagef("takes list, show, replay or discard, not %q", verb)
			}
			switch err := o.parse(env.stderr, verb, args[1:]); {
			case errors.Is(err, flag.ErrHelp):
				return nil
			case err != nil:
				return usageError{err}
			}
			return run(ctx, env, o)
		},
	}
}

// parse reads what follows the verb.
func (o *dlqOptions) parse(w io.Writer, verb string, args []string) error {
	fs := flag.NewFlagSet("earshot dlq "+verb, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.BoolVar(&o.json, "json", false, "print JSON, one object a line")
	f := &o.filter
	if verb != "show" {
		o.filterFlags(fs)
	}
	switch verb {
	case "show":
		fs.BoolVar(&o.body, "body", false, "print the original bytes and nothing else")
	case "replay", "discard":
		fs.BoolVar(&o.all, "all", false, "take all open letters, if no filter is given")
	}
	if verb == "replay" {
		fs.BoolVar(&o.again, "again", false, "also take letters whose event was replayed before and died again")
		fs.StringVar(&o.file, "file", "", "send the event in `FILE` (- for standard input) in place of the letter's own bytes")
		fs.Var(o.header, "header", "with --file: `name=value` of a header to send, name= to leave it out; may be repeated")
	}
	for { // flags and IDs in any order
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				fs.SetOutput(w)
				fmt.Fprintf(w, "usage: earshot dlq %s [flags] [ID …]\n\n", verb)
				fs.PrintDefaults()
			}
			return err
		}
		if args = fs.Args(); len(args) == 0 {
			break
		}
		id, ok := schemas.ParseLetterID(args[0])
		if !ok {
			return fmt.Errorf("%q is not the ID of a dead letter, such as 0-17; 'earshot dlq list' shows them", args[0])
		}
		f.IDs, args = append(f.IDs, id), args[1:]
	}
	switch {
	case verb == "show" && len(f.IDs) != 1:
		return errors.New("takes one ID; 'earshot dlq list' shows them")
	case o.file != "" && len(f.IDs) != 1:
		return errors.New("--file takes one ID: the letter that the mended event takes the place of")
	case o.file == "" && len(o.header) > 0:
		return errors.New("--header goes with --file")
	case (verb == "replay" || verb == "discard") && slices.Contains(f.States, deadletter.Replayed):
		return errors.New("a replayed letter is dealt with: its event is in the log; if it died there, it has a new letter")
	case (verb == "replay" || verb == "discard") && f.Empty() && len(f.States) == 0 && !o.all:
		return errors.New("give IDs or a filter, or --all for all open letters")
	}
	return nil
}

// filterFlags declares the flags that choose letters.
func (o *dlqOptions) filterFlags(fs *flag.FlagSet) {
	f := &o.filter
	fs.Func("shard", "only letters of the shard `N`, or alerts for those of deliveries", func(v string) error {
		if id, ok := schemas.ParseLetterID(v + "-1"); ok && id.Epoch == "" {
			f.Shard = &id.Shard
			return nil
		}
		n, err := strconv.Atoi(v)
		f.Shard = &n
		return err
	})
	fs.StringVar(&f.Tenant, "tenant", "", "only letters of the `TENANT` that the subject names")
	fs.StringVar(&f.Channel, "channel", "", "only letters of the `CHANNEL` that the subject names")
	fs.Func("reason", "only letters of this `REASON`: "+joined(schemas.Reasons()), func(v string) error {
		f.Reason = schemas.Reason(v)
		if !slices.Contains(schemas.Reasons(), f.Reason) {
			return fmt.Errorf("there is no such reason: %s", joined(schemas.Reasons()))
		}
		return nil
	})
	fs.Func("state", "only letters in this `STATE`: "+joined(deadletter.States())+"; may be repeated", func(v string) error {
		if !slices.Contains(deadletter.States(), deadletter.State(v)) {
			return fmt.Errorf("there is no such state: %s", joined(deadletter.States()))
		}
		f.States = append(f.States, deadletter.State(v))
		return nil
	})
	moment := func(into *time.Time) func(string) error {
		return func(v string) (err error) { *into, err = parseMoment(v, time.Now()); return err }
	}
	fs.Func("since", "only events received since `TIME`: 2026-11-01, 2026-11-01T08:00:00Z, or an age such as 36h", moment(&f.Since))
	fs.Func("until", "only events received before `TIME`", moment(&f.Until))
	fs.StringVar(&f.Detail, "detail", "", "only letters whose detail holds `TEXT`")
	fs.Func("sequence", "only originals with the sequence `N`, or LO-HI", func(v string) error {
		lo, hi, two := strings.Cut(v, "-")
		if !two {
			hi = lo
		}
		var err1, err2 error
		f.Lo, err1 = strconv.ParseUint(lo, 10, 64)
		f.Hi, err2 = strconv.ParseUint(hi, 10, 64)
		return errors.Join(err1, err2)
	})
	fs.IntVar(&f.Limit, "limit", 0, "at most `N` letters, the oldest first; 0: all")
}

func joined[T ~string](list []T) string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return strings.Join(out, ", ")
}

// openBox opens the dead letters.
func openBox(ctx context.Context, env *environment, opened *closers) (*deadletter.Box, error) {
	log := newLogger(&env.config, env.stderr).Level(warnLevel)
	s, err := locate(ctx, env, need{nats: true}, log, opened)
	if err != nil {
		return nil, err
	}
	nc, js, err := stream.Connect(s.natsURL, "earshot-dlq", log)
	if err != nil {
		return nil, err
	}
	opened.add("NATS connection", func(context.Context) error { nc.Close(); return nil })
	p, err := stream.NewPublisher(nc, stream.PublisherConfig{Shards: env.config.Shards})
	if err != nil {
		return nil, err
	}
	opened.add("publisher", p.Close)
	return deadletter.New(deadletter.Config{
		JS: js, Log: p, Shards: env.config.Shards,
		Swap: func(ctx context.Context, entries []schemas.Entry) (uint64, error) {
			return stream.Swap(ctx, nc, entries)
		},
		Redeliver: func(ctx context.Context, id schemas.LetterID, body []byte) error {
			return alerts.Requeue(ctx, stream.OpenJournal(js, nc, schemas.AlertJournal), id.String(), body, time.Now())
		},
	}), nil
}

func dlqList(ctx context.Context, env *environment, o *dlqOptions) (err error) {
	var opened closers
	defer func() { err = opened.closeAfter(err) }()
	box, err := openBox(ctx, env, &opened)
	if err != nil {
		return err
	}
	n, states := 0, map[deadletter.State]int{}
	for l, err := range box.Letters(ctx, o.filter) {
		if err != nil {
			return err
		}
		if o.json {
			if err := printLetterJSON(env.stdout, l, false); err != nil {
				return err
			}
			continue
		}
		if n == 0 {
			fmt.Fprintf(env.stdout, listFormat, "ID", "RECEIVED", "REASON", "STATE", "TENANT", "CHANNEL", "DETAIL")
		}
		printLetterLine(env.stdout, l)
		n++
		states[l.State]++
	}
	if !o.json {
		parts := []string{}
		for _, s := range deadletter.States() {
			if states[s] > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", states[s], s))
			}
		}
		fmt.Fprintf(env.stdout, "%s: %s\n", count(n), orNoneChosen(strings.Join(parts, ", ")))
	}
	return nil
}

func count(n int) string {
	if n == 1 {
		return "1 dead letter"
	}
	return fmt.Sprintf("%d dead letters", n)
}

func orNoneChosen(s string) string {
	if s == "" {
		return "none is chosen"
	}
	return s
}

func dlqShow(ctx context.Context, env *environment, o *dlqOptions) (err error) {
	var opened closers
	defer func() { err = opened.closeAfter(err) }()
	box, err := openBox(ctx, env, &opened)
	if err != nil {
		return err
	}
	l, err := box.Letter(ctx, o.filter.IDs[0])
	if err != nil {
		return err
	}
	switch {
	case o.body:
		_, err = env.stdout.Write(l.Data)
		return err
	case o.json:
		return printLetterJSON(env.stdout, l, true)
	}
	printLetter(env.stdout, l)
	return nil
}

func dlqReplay(ctx context.Context, env *environment, o *dlqOptions) (err error) {
	var mended []byte
	if o.file != "" {
		if mended, err = readMended(env, o.file); err != nil {
			return err
		}
	}
	var opened closers
	defer func() { err = opened.closeAfter(err) }()
	box, err := openBox(ctx, env, &opened)
	if err != nil {
		return err
	}
	t := tally{env: env, done: deadletter.Replayed, json: o.json}
	if o.file != "" {
		l, err := box.Mend(ctx, o.filter.IDs[0], mended, o.header)
		if l == nil {
			return err
		}
		t.report(l, err)
		return t.end()
	}
	if o.filter.First = !o.again && len(o.filter.IDs) == 0; o.filter.First {
		if err := t.leaveOut(ctx, box, o.filter); err != nil {
			return err
		}
	}
	if err := box.Replay(ctx, o.filter, t.report); err != nil {
		return errors.Join(err, t.end())
	}
	return errors.Join(t.account(ctx, box, o.filter.IDs), t.end())
}

// readMended reads the event that takes a letter's place.
func readMended(env *environment, file string) ([]byte, error) {
	in, name, err := openInput(env, []string{file})
	if err != nil {
		return nil, err
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, schemas.MaxEventBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return b, nil
}

func dlqDiscard(ctx context.Context, env *environment, o *dlqOptions) (err error) {
	var opened closers
	defer func() { err = opened.closeAfter(err) }()
	box, err := openBox(ctx, env, &opened)
	if err != nil {
		return err
	}
	t := tally{env: env, done: deadletter.Discarded, json: o.json}
	if err := box.Discard(ctx, o.filter, t.report); err != nil {
		return errors.Join(err, t.end())
	}
	return errors.Join(t.account(ctx, box, o.filter.IDs), t.end())
}
