package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/schemas"
	earshotsql "github.com/earshot/earshot/schemas/sql"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// queriesArg makes 'earshot bench' measure the named queries instead of the pipeline.
const queriesArg = "queries"

// How often a query is asked where --rounds does not say otherwise, how often before that without measuring, and how long
// a named query may take on a million events and two cores.
const (
	queryRounds, queryWarmUp = 20, 2
	queryLimit               = 100 * time.Millisecond
)

// rowsPerInsert is how many rows an insert of a measurement has: as many as a worker inserts when it catches up.
const rowsPerInsert = 50_000

// queryTiming is how long one question took, again and again.
type queryTiming struct {
	Query string  `json:"query"`
	By    string  `json:"by,omitempty"` // the value of the parameter by; empty: it has none
	Rows  int     `json:"rows"`         // of the answer
	Least float64 `json:"least_ms"`
	P50   float64 `json:"p50_ms"`
	P95   float64 `json:"p95_ms"`
	Views float64 `json:"views_p50_ms,omitempty"` // half of the answers that are not read from the cache; 0: this query never is
	CPU   float64 `json:"cpu_ms"`                 // processor time of one answer, of all cores; suffers less than the others from what else runs
	Busy  float64 `json:"foreign"`                // which part of the machine other programs took meanwhile, 0 … 1
}

// queriesResult is the measurement of all named queries.
type queriesResult struct {
	Events  uint64        `json:"events"`
	Cores   int           `json:"cores"`
	Rounds  int           `json:"rounds"`
	Limit   float64       `json:"limit_ms"`
	Refresh float64       `json:"refresh_s"` // how long it took to make the cache, on one core
	Queries []queryTiming `json:"queries"`
}

// benchQueries fills an embedded ClickHouse once and asks every named query for the largest tenant, and where it takes the
// parameter by, for each week as well. Flags may stand before the word queries or after it.
func benchQueries(ctx context.Context, env *environment, o *benchOptions, args []string) (err error) {
	var folder string
	fs := flag.NewFlagSet("earshot bench queries", flag.ContinueOnError)
	fs.SetOutput(env.stderr)
	fs.BoolVar(&o.short, "short", o.short, fmt.Sprintf("%d events instead of %d", shortEvents, benchEvents))
	fs.BoolVar(&o.json, "json", o.json, "print the result as JSON")
	fs.IntVar(&o.events, "events", o.events, "`number` of events, from 1000; default: see --short")
	fs.IntVar(&o.rounds, "rounds", o.rounds, fmt.Sprintf("how often each query is asked; default %d", queryRounds))
	fs.StringVar(&folder, "folder", "", "`folder` that keeps the data for the next measurement; default: one that is removed")
	if err := fs.Parse(args); err != nil {
		return usageError{err}
	}
	if o.events == 0 {
		o.events = map[bool]int{false: benchEvents, true: shortEvents}[o.short]
	}
	if o.rounds == 0 {
		o.rounds = queryRounds
	}
	if fs.NArg() > 0 || o.events < 1000 || o.rounds < 1 {
		return usagef("'earshot bench queries' takes flags only, --events from 1000 and --rounds from 1")
	}
	dir := folder
	var opened closers
	if dir == "" {
		if dir, err = os.MkdirTemp("", "earshot-bench-"); err != nil {
			return fmt.Errorf("make a folder for the measurement: %w", err)
		}
		opened.add("folder", func(context.Context) error { return os.RemoveAll(dir) })
	}
	defer func() { err = opened.closeAfter(err) }()
	own := benchEnvironment(env, dir)
	log := newLogger(&own.config, own.stderr)
	s, err := openServers(ctx, own, need{clickhouse: true}, log, &opened)
	if err != nil {
		return err
	}
	store, err := openStore(ctx, own, s, log)
	if err != nil {
		return err
	}
	opened.add("store", func(context.Context) error { return store.Close() })
	if _, err := store.Migrate(ctx, clickhouse.MigrateOptions{Sole: true}); err != nil {
		return err
	}
	r := &queriesResult{Cores: runtime.NumCPU(), Rounds: o.rounds, Limit: queryLimit.Seconds() * 1000}
	if r.Events, err = fill(ctx, env, store, o.events); err != nil {
		return err
	}
	if err := calm(ctx); err != nil {
		return err
	}
	began := time.Now()
	if err := store.RefreshCache(ctx); err != nil {
		return err
	}
	r.Refresh = time.Since(began).Seconds()
	var last time.Time
	var customer string
	if err := store.Value(ctx, "SELECT max(occurred_at) FROM feedback", &last); err != nil {
		return err
	}
	if err := store.Value(ctx, "SELECT topK(1)(customer_key)[1] FROM feedback WHERE customer_key != '' AND tenant = '"+rowsTenant+"'", &customer); err != nil {
		return err
	}
	for _, q := range earshotsql.Queries() {
		for _, params := range benchParams(&q, last, customer) {
			t, err := timeQuery(ctx, store, q, params, o.rounds)
			if err != nil {
				return err
			}
			r.Queries = append(r.Queries, t)
		}
	}
	if o.json {
		enc := json.NewEncoder(env.stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(r)
	} else {
		err = r.print(env.stdout)
	}
	if err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	if slow := r.slow(); len(slow) > 0 {
		return fmt.Errorf("half of the times or more took over %v: %s", queryLimit, strings.Join(slow, ", "))
	}
	return nil
}

// fill makes rows until the table has as many as wanted; a folder that was kept has them already.
func fill(ctx context.Context, env *environment, store *clickhouse.Store, want int) (uint64, error) {
	var have uint64
	if err := store.Value(ctx, "SELECT count() FROM feedback", &have); err != nil || have > 0 {
		return have, err
	}
	fmt.Fprintf(env.stderr, "Filling the table with %s events …\n", grouped(want))
	m, err := newRowMaker(want, time.Now().Truncate(time.Hour).Add(-rowsDays*24*time.Hour))
	if err != nil {
		return 0, err
	}
	var rows []schemas.Row
	flush := func() error {
		if len(rows) == 0 {
			return nil
		}
		err := store.Insert(ctx, rows, fmt.Sprintf("bench-%d-%d", rows[0].Seq, rows[len(rows)-1].Seq))
		rows = rows[:0]
		return err
	}
	for day := range rowsDays {
		for _, r := range m.day(day) {
			if len(rows) == rowsPerInsert || len(rows) > 0 && rows[0].Event.Time.Month() != r.Event.Time.Month() {
				if err := flush(); err != nil {
					return 0, err
				}
			}
			rows = append(rows, r)
		}
	}
	if err := flush(); err != nil {
		return 0, err
	}
	return uint64(m.made), nil
}

// benchParams are the parameters with which a query is asked: the largest tenant, its customer with the most events where it is
// about one, and otherwise the defaults, that is the last 90 days where it takes a span of time, or half of them by week.
// Alerts ask of all tenants and of short windows
// only, so they get the last day.
func benchParams(q *earshotsql.Query, last time.Time, customer string) []map[string]string {
	params := map[string]string{}
	by := false
	for _, p := range q.Params {
		by = by || p.Name == "by"
		switch {
		case p.Name == "tenant":
			params["tenant"] = rowsTenant
		case p.Name == "customer_key":
			params["customer_key"] = customer
		case p.Name == "from" && strings.HasPrefix(q.Name, "alert_"):
			params["from"] = last.UTC().AddDate(0, 0, -1).Format(time.DateTime)
		}
	}
	out := []map[string]string{params}
	if by {
		out = append(out, map[string]string{"tenant": rowsTenant, "by": "week"})
	}
	return out
}

// viewRounds is how often a query is asked of the views that is otherwise answered from the cache.
const viewRounds = 5

// timeQuery asks a query some times, as 'earshot query' does, and then of the views if that was not what it did. What is measured
// is the time until the whole answer is there.
func timeQuery(ctx context.Context, store *clickhouse.Store, q earshotsql.Query, params map[string]string, rounds int) (queryTiming, error) {
	t := queryTiming{Query: q.Name, By: params["by"]}
	var before consumption
	took, err := repeat(rounds, func(first bool) error {
		if first {
			before = readConsumption(0)
		}
		var answer lineCounter
		err := store.Named(ctx, q, params, "TSV", &answer)
		t.Rows = int(answer)
		return err
	})
	if err != nil {
		return t, err
	}
	after := readConsumption(0)
	t.CPU, t.Busy = (after.self-before.self).Seconds()*1000/float64(rounds), after.foreign(before)
	t.Least, t.P50, t.P95 = took[0], took[(len(took)-1)/2], took[int(math.Ceil(0.95*float64(len(took))))-1]
	all := map[string]string{}
	for _, p := range q.Params {
		all[p.Name] = p.Default
	}
	maps.Copy(all, params)
	if _, ok := q.FromCache(all, ""); !ok {
		return t, nil
	}
	took, err = repeat(min(rounds, viewRounds), func(bool) error { return store.Query(ctx, q.SQL, all, "TSV", io.Discard) })
	if err == nil {
		t.Views = took[(len(took)-1)/2]
	}
	return t, err
}

// repeat does something some times, after doing it without measuring, and returns the milliseconds it took, in order of length.
func repeat(rounds int, do func(first bool) error) (took []float64, err error) {
	warmUp := min(queryWarmUp, rounds)
	for round := range warmUp + rounds {
		began := time.Now()
		if err := do(round == warmUp); err != nil {
			return nil, err
		}
		if round >= warmUp {
			took = append(took, time.Since(began).Seconds()*1000)
		}
	}
	slices.Sort(took)
	return took, nil
}

// lineCounter counts the lines written to it.
type lineCounter int

// Write counts.
func (c *lineCounter) Write(b []byte) (int, error) {
	for _, x := range b {
		if x == '\n' {
			*c++
		}
	}
	return len(b), nil
}

// slow lists the queries that took too long, by their median: single slow answers tell of the machine.
func (r *queriesResult) slow() (out []string) {
	for _, t := range r.Queries {
		if t.P50 > r.Limit {
			out = append(out, strings.TrimSpace(t.Query+" "+t.By))
		}
	}
	return out
}

// within says whether a query keeps to the limit: by its median, or at best, which is what other programs leave of it.
func (t *queryTiming) within(limit float64) string {
	switch {
	case t.P50 <= limit:
		return "yes"
	case t.Least <= limit:
		return "at best"
	}
	return "**no**"
}

func (r *queriesResult) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s events of a year, of three tenants (60, 30 and 10 %%), one in ten in a case; asked for the largest tenant, %d times each, on %d cores with the embedded ClickHouse. Milliseconds until the whole answer is there; CPU: processor time of one answer, of all cores; views: p50 of the same answer while the cache is stale. Making the cache takes %.0f s on one core.\n\n",
		time.Now().Format("2 January 2006"), grouped(int(r.Events)), r.Rounds, r.Cores, r.Refresh)
	fmt.Fprintf(&b, "| query | by | rows | least | p50 | p95 | CPU | within %.0f | views |\n|---|---|---|---|---|---|---|---|---|\n", r.Limit)
	busy := 0
	for _, t := range r.Queries {
		views := ""
		if t.Views > 0 {
			views = fmt.Sprintf("%.0f", t.Views)
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %.0f | %.0f | %.0f | %.0f | %s | %s |\n", t.Query, t.By, t.Rows, t.Least, t.P50, t.P95, t.CPU, t.within(r.Limit), views)
		if t.Busy > quiet {
			busy++
		}
	}
	if busy > 0 {
		fmt.Fprintf(&b, "\nDuring %d of %d questions other programs took more than %.0f %% of the machine: all but CPU are longer by that.\n", busy, len(r.Queries), 100*quiet)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
