package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/audit"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// examiner audits shards and table. It serves the command and, with a memory of what was proven, the clock of a node.
type examiner struct {
	shards   []*stream.Shard
	store    *clickhouse.Store
	pick     func(n uint64) uint64 // a random number below n, for the choice of an hour
	proven   []schemas.Checkpoint  // by shard: up to here a former audit found everything right; nil: look at everything
	repeated uint64                // events found stored twice by the last look at everything
}

// examination is what one audit of all shards and of the table found.
type examination struct {
	OK         bool           `json:"ok"`
	Shards     []shardExam    `json:"shards"`
	Table      []string       `json:"table"` // what of the table's settings is weaker than it should be
	Projection projectionExam `json:"projection"`
	Repeats    uint64         `json:"repeated_events"` // rows whose event another row has already; counted where everything is looked at
}

// shardExam is what was found of one shard.
type shardExam struct {
	audit.Verdict
	Found *audit.Found `json:"found,omitempty"` // of the events without a row, where they were looked for
}

// projectionExam is what was found of the hourly projection.
type projectionExam struct {
	Hours       int    `json:"hours"`       // compared
	Groups      int    `json:"groups"`      // of figures; counted where an hour was looked at by itself
	Differences int    `json:"differences"` // groups that differ from the rows
	Fault       string `json:"fault,omitempty"`
}

// examine looks at every shard, the table's settings, and one hour of the projection, chosen by chance.
func (e *examiner) examine(ctx context.Context) (x examination, err error) {
	for i, s := range e.shards {
		var from schemas.Checkpoint
		if e.proven != nil {
			from = e.proven[i]
		}
		v, err := audit.Check(ctx, i, s, e.store, from)
		if err != nil {
			return x, err
		}
		x.Shards = append(x.Shards, shardExam{Verdict: v})
	}
	if x.Table, err = e.store.CheckTable(ctx); err != nil {
		return x, err
	}
	if err := e.hour(ctx, &x); err != nil {
		return x, err
	}
	if err := e.repeats(ctx, &x); err != nil {
		return x, err
	}
	x.OK = len(x.faults()) == 0
	return x, nil
}

// repeats counts the events that are stored twice, under sequences of their own, which no count of rows and sequences
// shows. It goes over all rows, so it is done where everything is looked at.
func (e *examiner) repeats(ctx context.Context, x *examination) (err error) {
	for i := range x.Shards {
		if x.Shards[i].After > 0 {
			x.Repeats = e.repeated
			return nil
		}
	}
	if len(x.Shards) > 0 {
		e.repeated, err = e.store.Repeats(ctx, x.Shards[0].Generation)
	}
	x.Repeats = e.repeated
	return err
}

// full adds what costs more: the log is read wherever a sequence has no row, and all hours of the projection are
// compared.
func (e *examiner) full(ctx context.Context) (x examination, err error) {
	if x, err = e.examine(ctx); err != nil {
		return x, err
	}
	for i := range x.Shards {
		if err := e.find(ctx, &x.Shards[i]); err != nil {
			return x, err
		}
		x.Shards[i].Weigh(*x.Shards[i].Found)
	}
	if x.Projection.Fault == "" && len(x.Shards) > 0 {
		if err := e.hours(ctx, x.Shards[0].Generation, &x.Projection); err != nil {
			return x, err
		}
	}
	x.OK = len(x.faults()) == 0
	return x, nil
}

// find looks for the events of a shard that have no row.
func (e *examiner) find(ctx context.Context, s *shardExam) error {
	r := s.Range()
	r.Lo = 1
	f, err := audit.Find(ctx, r, e.shards[s.Shard], e.store)
	s.Found = &f
	return err
}

// hour compares the projection with the rows for the hour of a random event.
func (e *examiner) hour(ctx context.Context, x *examination) error {
	const near, tries = 1000, 3
	for range tries {
		s := &x.Shards[e.pick(uint64(len(x.Shards)))]
		r := s.Range()
		if r.Lo = 1; r.Hi == 0 {
			continue
		}
		r.Lo += e.pick(r.Hi)
		r.Hi = min(r.Hi, r.Lo+near)
		hour, found, err := e.store.HourAt(ctx, r)
		if err != nil {
			return err
		}
		if found {
			x.Projection = projectionExam{}
			return e.compare(ctx, s.Generation, hour, &x.Projection)
		}
	}
	return nil
}

// compare holds one hour of the projection against the rows. That the server does not read it at all is a finding too.
func (e *examiner) compare(ctx context.Context, generation uint32, hour time.Time, p *projectionExam) error {
	groups, differences, err := e.store.CompareHour(ctx, generation, hour)
	return p.add(1, groups, differences, err)
}

// hours compares all hours of a generation.
func (e *examiner) hours(ctx context.Context, generation uint32, p *projectionExam) error {
	n, suspects, err := e.store.SuspectHours(ctx, generation)
	*p = projectionExam{}
	if err := p.add(n-len(suspects), 0, 0, err); err != nil {
		return err
	}
	for _, h := range suspects {
		if err := e.compare(ctx, generation, h, p); err != nil {
			return err
		}
	}
	return nil
}

func (p *projectionExam) add(hours, groups, differences int, err error) error {
	if isPermanent(err) {
		p.Fault = err.Error()
		return nil
	}
	p.Hours += hours
	p.Groups += groups
	p.Differences += differences
	return err
}

// faults says in words all that is wrong.
func (x *examination) faults() (out []string) {
	for i := range x.Shards {
		s := &x.Shards[i]
		for _, f := range s.Faults {
			text := fmt.Sprintf("shard %d: %s", s.Shard, f.Text)
			if s.Found != nil && f.Kind == audit.Gap {
				text += "; " + s.whereabouts()
			}
			out = append(out, text)
		}
	}
	if x.Repeats > 0 {
		out = append(out, fmt.Sprintf("%d events are stored a second time under another sequence: SELECT event_id, groupArray((epoch, shard, seq)) FROM feedback GROUP BY generation, event_id HAVING count() > 1 lists them; copies of one event under two customers can land in two shards at the same moment, anything else should be reported", x.Repeats))
	}
	out = append(out, x.Table...)
	p := &x.Projection
	if p.Differences > 0 {
		out = append(out, fmt.Sprintf("%d of the projection's figures differ from the rows: ALTER TABLE feedback CLEAR PROJECTION hourly and then MATERIALIZE PROJECTION hourly make it anew; keep a copy of the parts and report it", p.Differences))
	}
	if p.Fault != "" {
		out = append(out, p.Fault)
	}
	return out
}

// state is what an examination found without what changes from one look to the next.
func (x *examination) state() string {
	verdicts := make([]audit.Verdict, len(x.Shards))
	for i := range x.Shards {
		verdicts[i] = x.Shards[i].Verdict
	}
	return fmt.Sprint(audit.State(verdicts), x.Table, x.Repeats, x.Projection.Differences, x.Projection.Fault)
}

// whereabouts says which events are missing, and of the others of the gap what became of them.
func (s *shardExam) whereabouts() string {
	out := []string{"the log still has none of them"}
	if n := audit.Count(s.Found.Missing); n > 0 {
		out[0] = fmt.Sprintf("the log still has %d: sequence %s", n, spans(s.Found.Missing))
	}
	if n := audit.Count(s.Found.Replaced); n > 0 {
		out = append(out, fmt.Sprintf("%d were sent again later and stored then: sequence %s", n, spans(s.Found.Replaced)))
	}
	return strings.Join(out, "; ")
}

// spans writes the first of a list of ranges.
func spans(ranges []schemas.Range) string {
	const most = 20
	var out []string
	for i, r := range ranges {
		switch {
		case i == most:
			return strings.Join(out, ", ") + fmt.Sprintf(" and %d more runs", len(ranges)-most)
		case r.Lo == r.Hi:
			out = append(out, fmt.Sprint(r.Lo))
		default:
			out = append(out, fmt.Sprintf("%d–%d", r.Lo, r.Hi))
		}
	}
	return strings.Join(out, ", ")
}

// err is the faults as one error, nil when there are none.
func (x *examination) err() error {
	if f := x.faults(); len(f) > 0 {
		return errors.New(strings.Join(f, "\n"))
	}
	return nil
}
