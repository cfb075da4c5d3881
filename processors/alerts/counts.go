package alerts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/schemas/sql"
)

// Store is what counts come from.
type Store interface {
	// Named runs a named query and writes its answer in a format of ClickHouse.
	Named(ctx context.Context, q sql.Query, params map[string]string, format string, w io.Writer) error
	// Live is the generation of labels that the queries see.
	Live(ctx context.Context) (uint32, error)
}

// count is a number that the store may write in quotes.
type count uint64

// UnmarshalJSON reads it either way.
func (c *count) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseUint(strings.Trim(string(b), `"`), 10, 64)
	*c = count(n)
	return err
}

// row is one line of the answer to a query of cells; each query fills what it has.
type row struct {
	Tenant  string `json:"tenant"`
	Channel string `json:"cell_channel"`
	Product string `json:"cell_product"`
	Element string `json:"cell_element"`
	Facet   string `json:"cell_facet"`
	Theme   string `json:"cell_theme"`

	Total     count `json:"total"`
	Negatives count `json:"negatives"`
	Unnamed   count `json:"unnamed"`           // of the total, customers who are not known
	Nameless  count `json:"unnamed_negatives"` // of the negatives
	Within    count `json:"within"`            // milliseconds; the step in which these customers spoke last
	BadWithin count `json:"bad_within"`        // and said the last negative thing; 0: none
	Hour      int64 `json:"hour"`
	FirstHour int64 `json:"first_hour"`
	LastHour  int64 `json:"last_hour"`

	At       int64  `json:"at"`
	Who      string `json:"who"`
	Negative count  `json:"negative"`
	Named    count  `json:"named"`

	Connected string  `json:"channel"` // of alert_sources
	Source    string  `json:"source"`  // channel that the counts are of
	Seconds   float64 `json:"seconds"` // into the hour, on average
	Variance  float64 `json:"seconds_variance"`
}

// cell is the row's cell by the rule's dimensions.
func (w *row) cell(by []string) map[string]string {
	values := map[string]string{"tenant": w.Tenant, "channel": w.Channel, "product": w.Product, "element": w.Element, "facet": w.Facet, "theme": w.Theme}
	out := make(map[string]string, len(by))
	for _, d := range by {
		out[d] = values[d]
	}
	return out
}

// ask runs a named query and hands over its rows.
func ask[T any](ctx context.Context, store Store, name string, params map[string]string, each func(*T)) error {
	q, err := sql.Find(name)
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	failed := make(chan error, 1)
	go func() {
		err := store.Named(ctx, q, params, "JSONEachRow", w)
		w.CloseWithError(err)
		failed <- err
	}()
	dec := json.NewDecoder(r)
	for {
		var row T
		err := dec.Decode(&row)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			r.CloseWithError(err)
			return errors.Join(<-failed, fmt.Errorf("read the answer to %s: %w", name, err))
		}
		each(&row)
	}
	return <-failed
}

// scopeParams are the parameters by which the queries count what the rule is about.
func (r *Rule) scopeParams() map[string]string {
	p := map[string]string{"feed": "alert_feed"}
	if r.Mentions() {
		p["feed"] = "alert_feed_mentions"
	}
	for _, d := range Dimensions()[1:] {
		p["by_"+d] = "0"
		if slices.Contains(r.By, d) {
			p["by_"+d] = "1"
		}
	}
	r.whereParams(p)
	return p
}

func (r *Rule) whereParams(p map[string]string) {
	w := &r.Where
	for name, values := range map[string][]string{"tenants": w.Tenant, "channels": w.Channel, "products": w.Product, "elements": w.Element,
		"facets": w.Facet, "themes": w.Theme, "intents": w.Intent, "urgencies": w.Urgency, "words": w.Words} {
		p[name] = arrayText(values)
	}
}

// arrayText writes an array of strings as a parameter.
func arrayText(values []string) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\t", `\t`, "\n", `\n`).Replace(v) + "'")
	}
	b.WriteByte(']')
	return b.String()
}

// stamp writes a time as a parameter.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }

func between(p map[string]string, from, to time.Time) map[string]string {
	out := make(map[string]string, len(p)+2)
	for k, v := range p {
		out[k] = v
	}
	out["from"], out["to"] = stamp(from), stamp(to)
	return out
}

// counted is one cell's reading.
type counted struct {
	cell    map[string]string
	key     string // of the cell, without a rule
	reading Reading
}

// countWindows asks for the readings of windows that end now, the shortest first, all of them at one go.
func countWindows(ctx context.Context, store Store, r *Rule, now time.Time, lengths []time.Duration) ([][]counted, error) {
	longest := lengths[len(lengths)-1]
	name := "alert_window"
	params := between(r.scopeParams(), now.Add(-longest), now)
	switch r.Detector {
	case DetectQuery:
		cells, err := countQuery(ctx, store, r, now)
		return [][]counted{cells}, err
	case DetectSLA:
		name = "alert_waiting"
		all := params
		params = map[string]string{"target": strconv.Itoa(int(r.Target.Seconds()))}
		for _, k := range []string{"by_channel", "tenants", "channels", "intents", "urgencies"} {
			params[k] = all[k]
		}
	default:
		steps := make([]string, len(lengths))
		for i, l := range lengths {
			steps[i] = strconv.FormatInt(l.Milliseconds(), 10)
		}
		params["steps"] = "[" + strings.Join(steps, ",") + "]"
		r.lateParam(params)
	}
	out := make([][]counted, len(lengths))
	err := ask(ctx, store, name, params, func(w *row) {
		c := w.cell(r.By)
		key := schemas.CellKey("", c)
		for i, l := range lengths {
			if l.Milliseconds() < int64(w.Within) {
				continue // they spoke before it
			}
			cells := out[i]
			if len(cells) == 0 || cells[len(cells)-1].key != key { // the answer is in the order of cells
				cells = append(cells, counted{c, key, Reading{From: now.Add(-l), To: now, Channels: map[string]Spoke{}}})
				out[i] = cells
			}
			n := Spoke{Total: int(w.Total), Unnamed: int(w.Unnamed)}
			if l.Milliseconds() >= int64(w.BadWithin) {
				n.Negative, n.Nameless = int(w.Negatives), int(w.Nameless)
			}
			cells[len(cells)-1].reading.add(w.Source, n)
		}
	})
	return out, err
}

// lateParam leaves out what arrives too late for the rule.
func (r *Rule) lateParam(p map[string]string) {
	p["late_after"] = strconv.Itoa(int(r.LateAfter.Seconds()))
}

// countQuery takes the cells and the value of a named query: its columns of the rule's dimensions, and the rule's column.
func countQuery(ctx context.Context, store Store, r *Rule, now time.Time) ([]counted, error) {
	var out []counted
	var fault error
	err := ask(ctx, store, r.Query, r.Params, func(w *map[string]any) {
		c := map[string]string{}
		for _, d := range r.By {
			c[d], _ = (*w)[d].(string)
		}
		v, err := strconv.ParseFloat(fmt.Sprint((*w)[r.Column]), 64)
		if _, ok := (*w)[r.Column]; !ok {
			fault = fmt.Errorf("the query %s has no column %q", r.Query, r.Column)
		}
		if err == nil {
			out = append(out, counted{c, schemas.CellKey("", c), Reading{From: now, To: now, Total: int(v)}})
		}
	})
	return out, errors.Join(err, fault)
}

// details fills in what the customers of an alert said.
func details(ctx context.Context, r *Rule, a *schemas.Alert, from, to time.Time, cfg *Config) error {
	link := cfg.Link
	if r.asksNow() { // nothing that was said in the window made it
		a.Customers, a.Links = int(a.Observed), links(a, from, link)
		return nil
	}
	scope := *r
	lists := map[string]*[]string{"tenant": &scope.Where.Tenant, "channel": &scope.Where.Channel, "product": &scope.Where.Product,
		"element": &scope.Where.Element, "facet": &scope.Where.Facet, "theme": &scope.Where.Theme}
	for d, v := range a.Cell {
		if v != "" {
			*lists[d] = []string{v}
		}
	}
	p := map[string]string{"feed": scope.scopeParams()["feed"], "only_negative": "1"}
	if r.Detector == DetectVolumeSpike || r.Detector == DetectThreshold {
		p["only_negative"] = "0"
	}
	scope.whereParams(p)
	if !cfg.past {
		r.lateParam(p)
	}
	type answer struct {
		First     int64    `json:"first"`
		Customers count    `json:"customers"`
		Unnamed   count    `json:"unnamed"`
		Themes    []string `json:"themes"`
		Quotes    [][]any  `json:"quotes"`
	}
	err := ask(ctx, cfg.Store, "alert_details", between(p, from, to), func(d *answer) {
		if d.Customers == 0 {
			return
		}
		a.Since, a.Customers, a.Unnamed = time.UnixMilli(d.First).UTC(), int(d.Customers), int(d.Unnamed)
		for _, q := range d.Quotes {
			if len(q) == 3 {
				a.Quotes = append(a.Quotes, schemas.AlertQuote{Text: cfg.quote(fmt.Sprint(q[1])), EventID: fmt.Sprint(q[2])})
			}
		}
		if len(d.Themes) > 0 {
			a.TopTheme = d.Themes[0]
		}
	})
	if p["feed"] == "alert_feed" && err == nil {
		p["feed"] = "alert_feed_mentions"
		err = ask(ctx, cfg.Store, "alert_details", between(p, from, to), func(d *answer) {
			if len(d.Themes) > 0 {
				a.TopTheme = d.Themes[0]
			}
		})
	}
	a.Links = links(a, from, link)
	return err
}

// links are where a person looks next.
func links(a *schemas.Alert, from time.Time, link string) map[string]string {
	var q bytes.Buffer
	fmt.Fprintf(&q, "earshot query --name feedback_latest --tenant %s --param from='%s'", quoted(a.Cell["tenant"]), from.UTC().Format(time.DateTime))
	for _, d := range Dimensions()[1:] {
		if c := a.Cell[d]; c != "" {
			fmt.Fprintf(&q, " --param %s=%s", d, quoted(c))
		}
	}
	out := map[string]string{"query": q.String()}
	if link != "" {
		out["dashboard"] = strings.TrimRight(link, "/") + "/?alert=" + a.ID
	}
	return out
}

// quoted is a value as a shell takes it for one word, whatever it holds.
func quoted(v string) string {
	if v != "" && strings.Trim(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:") == "" {
		return v
	}
	return "'" + strings.ReplaceAll(v, "'", `'\''`) + "'"
}
