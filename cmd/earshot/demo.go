package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	earshotsql "github.com/earshot/earshot/schemas/sql"

	"github.com/earshot/earshot/schemas"
)

// sampleFeedback is real feedback under licences that permit it; sample/SOURCES.md says which parts of it are made up.
//
//go:embed sample/feedback.ndjson
var sampleFeedback []byte

// demoTenant is whose feedback the sample is.
const demoTenant = "demo"

type demoOptions struct{ once bool }

func demoCommand() command {
	return command{
		name: "demo", summary: "the whole pipeline with sample feedback, in one go",
		help: "Starts everything on this machine, sends the sample feedback through the gateway, and prints what came out.\nIt works in a folder that is removed at the end, unless EARSHOT_DATA_DIR is set. Ctrl-C ends it.\nExample: earshot demo --once",
		flags: func(fs *flag.FlagSet) any {
			o := &demoOptions{}
			fs.BoolVar(&o.once, "once", false, "end after printing; exit 0 only if sent = stored + duplicates + dead")
			return o
		},
		run: func(ctx context.Context, env *environment, opts any, args []string) error {
			if err := nothingAfter(args); err != nil {
				return err
			}
			return runDemo(ctx, env, opts.(*demoOptions).once)
		},
	}
}

func runDemo(ctx context.Context, env *environment, once bool) (err error) {
	c := &env.config
	if !c.set["EARSHOT_DATA_DIR"] {
		dir, err := os.MkdirTemp("", "earshot-demo-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		c.DataDir = dir
	}
	if !c.set["EARSHOT_LOG_LEVEL"] {
		c.LogLevel = "error" // the demo's own words are what a newcomer reads, not the alerts that waiting customers raise
	}
	for field, addr := range map[string]*string{"GatewayAddr": &c.GatewayAddr, "BrokerAddr": &c.BrokerAddr, "EngineAddr": &c.EngineAddr} {
		if !c.set[variableName(field)] && taken(*addr) {
			*addr = "127.0.0.1:0"
		}
	}
	began := time.Now()
	fmt.Fprintln(env.stdout, "Starting NATS JetStream, ClickHouse, gateway and worker on this machine …")
	n, err := startNode(ctx, env, role{ingest: true, process: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.stop()) }()
	fmt.Fprintf(env.stdout, "Ready after %.1f s. Sending the sample feedback through %s …\n", time.Since(began).Seconds(), n.gateway)
	exact, err := n.demonstrate(ctx)
	if err != nil {
		return err
	}
	n.showAddresses(env.stdout)
	if !once {
		fmt.Fprintln(env.stdout, "Ctrl-C ends the demo.")
		<-ctx.Done()
		return nil
	}
	if !exact {
		return errReported
	}
	return nil
}

// taken says whether somebody listens on the address already.
func taken(addr string) bool {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return true
	}
	l.Close()
	return false
}

// demonstrate sends the sample, waits for it to be stored and prints the figures. exact is whether everything sent is
// accounted for.
func (n *node) demonstrate(ctx context.Context) (exact bool, err error) {
	out := n.env.stdout
	before, _, err := reconcile(ctx, n.js, n.shards, n.work.opened(), n.env.config.DrainTimeout)
	if err != nil {
		return false, err
	}
	began := time.Now()
	reviews, invented, err := n.sendSample(ctx)
	if err != nil {
		return false, err
	}
	after, faults, err := reconcile(ctx, n.js, n.shards, n.work.opened(), time.Minute)
	if err != nil {
		return false, err
	}
	sent := reviews + invented
	stored, duplicates, dead := after.Stored-before.Stored, after.Duplicates-before.Duplicates, after.Dead-before.Dead
	fmt.Fprintf(out, "\n%d reviews of real customers, and %d answers to surveys and steps of cases of an invented shop\n", reviews, invented)
	fmt.Fprintf(out, "events sent %d = stored %d + duplicates %d + dead letters %d   (%.1f s from the first to the last in ClickHouse)\n",
		sent, stored, duplicates, dead, time.Since(began).Seconds())
	exact = after.Exact && uint64(sent) == stored+duplicates+dead
	if !exact {
		fmt.Fprintf(out, "THEY DO NOT ADD UP: %s\n", strings.Join(faults, "; "))
	}
	for _, f := range figures() {
		fmt.Fprintf(out, "\n%s\n", f.title)
		if err := n.show(ctx, f, out); err != nil {
			return false, err
		}
	}
	return exact, nil
}

// figure is a named query that the demo shows, with as many of its columns as fit a terminal.
type figure struct{ query, title, columns string }

func figures() []figure {
	const index = "n, satisfaction, satisfaction_low AS low, satisfaction_high AS high"
	return []figure{
		{"satisfaction_by_element", "Satisfaction by element: an index from 0 to 100, 50 is neutral; low–high is its 95 % interval", "element, " + index},
		{"satisfaction_by_facet", "Satisfaction by facet", "element, facet, " + index},
		{"satisfaction_by_s5", "Satisfaction by the five S of service", "s5, " + index},
		{"worst_themes", "The worst themes, by how many different customers are unhappy about them", "theme, unhappy_customers AS unhappy, customers, mentions, negative_share AS `negative %`, negative_low AS low, negative_high AS high, if(lengthUTF8(worst_quote) > 44, concat(substringUTF8(worst_quote, 1, 43), '…'), worst_quote) AS `worst words`"},
	}
}

// show prints the answer to a named query about the demo's tenant.
func (n *node) show(ctx context.Context, f figure, w io.Writer) error {
	q, err := earshotsql.Find(f.query)
	if err != nil {
		return err
	}
	params := map[string]string{}
	for _, p := range q.Params {
		params[p.Name] = p.Default
	}
	params["tenant"] = demoTenant
	statement := "SELECT " + f.columns + " FROM (" + q.SQL + ") SETTINGS output_format_pretty_row_numbers = 0, output_format_pretty_fallback_to_vertical = 0"
	return n.work.opened().Query(ctx, statement, params, "PrettyCompactMonoBlock", w)
}

// sample is one line of the sample feedback.
type sample struct {
	ID       string   `json:"id"`
	Text     string   `json:"text"`
	Language string   `json:"language"`
	Rating   *float64 `json:"rating"`
	Channel  string   `json:"channel"`
	Customer string   `json:"customer"`
	Product  string   `json:"product"`
	Source   string   `json:"source"`
	Ago      int64    `json:"offset_s"` // seconds before now
}

// sendSample sends the sample as CloudEvents, the real reviews and then what the invented shop did, and returns how many of
// each it sent.
func (n *node) sendSample(ctx context.Context) (reviews, invented int, err error) {
	now := time.Now().UTC().Truncate(time.Second)
	shop, hours, err := newShop(now)
	if err != nil {
		return 0, 0, err
	}
	if err := n.openShop(ctx, hours); err != nil {
		return 0, 0, err
	}
	list, err := deeds()
	if err != nil {
		return 0, 0, err
	}
	answered := map[string]bool{}
	for i := range list {
		answered[list[i].About] = true
	}
	p := newPublication(&publishOptions{url: n.gateway}, "sample", n.env.stderr)
	var batch []numbered
	flush := func() error {
		b := batch
		batch = nil
		return p.post(ctx, b)
	}
	send := func(line int, e *schemas.Event) error {
		batch = append(batch, numbered{line, schemas.AppendStructured(nil, e)})
		if len(batch) == 500 {
			return flush()
		}
		return nil
	}
	err = lines(bytes.NewReader(sampleFeedback), "sample", func(line int, b []byte) error {
		var s sample
		if err := json.Unmarshal(b, &s); err != nil {
			return fmt.Errorf("sample, line %d: %w", line, err)
		}
		e := s.event(now)
		if answered[s.ID] {
			e.Data.ConversationID = s.ID
		}
		reviews++
		return send(line, e)
	})
	for i := range list {
		if err != nil {
			return reviews, invented, err
		}
		invented++
		err = send(i+1, shop.event(&list[i], answered[list[i].ID]))
	}
	if err == nil {
		err = flush()
	}
	return reviews, invented, err
}

// event makes a CloudEvent of the sample line. Stars are on a scale of five.
func (s *sample) event(now time.Time) *schemas.Event {
	e := &schemas.Event{
		ID: s.ID, Source: "/demo/" + s.Source, Kind: schemas.FeedbackReceived, Tenant: demoTenant,
		Time: now.Add(-time.Duration(s.Ago) * time.Second),
		Data: schemas.Data{Channel: s.Channel, Text: s.Text, Language: s.Language, CustomerID: s.Customer, ProductID: s.Product, FieldType: "text"},
	}
	if s.Channel == "review" {
		e.Kind = schemas.ReviewPublished
	}
	if s.Rating != nil {
		one, five := 1.0, 5.0
		e.Data.FieldType, e.Data.Number, e.Data.ScaleMin, e.Data.ScaleMax = "rating", s.Rating, &one, &five
	}
	e.Type = e.Kind.Type()
	return e
}

// showAddresses says where to look next.
func (n *node) showAddresses(w io.Writer) {
	a := n.addresses()
	fmt.Fprintf(w, `
Where to look:
  send feedback   curl -d '{"text":"Nobody answered for three days","channel":"web"}' -H 'Content-Type: application/json' %[1]s/v1/feedback
  ask ClickHouse  curl '%[2]s/?database=%[3]s' --data-binary 'SELECT occurred_at, polarity, text FROM feedback_current ORDER BY received_at DESC LIMIT 5 FORMAT PrettyCompact'
  NATS            nats --server %[4]s stream ls
  metrics         %[1]s/metrics
`, a.Gateway, withoutUser(a.Clickhouse), a.Database, a.Nats)
}

// withoutUser is an address as it may be shown: without a name and password.
func withoutUser(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	u.User = nil
	return u.String()
}
