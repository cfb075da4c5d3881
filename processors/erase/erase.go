// Package erase forgets customers.
//
// A request is an event like any other: it goes into the log, behind everything that the customer said before, and stays
// there until it is done. One passes through [Eraser.Step] like this. It waits until all that came before is stored and
// safe; then the customer's messages are overwritten in the log, the dead letters and the announcements; then the rows are
// emptied, and the files that held them are waited for until they are gone. A receipt that names nobody goes into the log,
// and last of all the request itself is overwritten. Whoever is cut off anywhere finds the request still there and does all
// of it again, which changes nothing that is done.
//
// What the customer says afterwards is a new beginning. What is sent again of what was erased is known by its identity,
// which is kept, and is not stored. The package knows streams and table only by the small interfaces it declares, and it
// refuses to write down whom it forgets.
package erase

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/earshot/earshot/schemas"
)

// Streams are the log and what is kept beside it. Every method but Requests and Settled removes what matches, such that the
// bytes are overwritten, and says how many that were.
type Streams interface {
	// Requests lists what is asked for and not done.
	Requests(ctx context.Context) ([]schemas.EraseRequest, error)
	// Settled says whether everything that the log had received before the request is dealt with, and was so for the age.
	Settled(ctx context.Context, r *schemas.EraseRequest, age time.Duration) (bool, error)
	// Copied waits until the copies of dead letters and announcements are complete.
	Copied(ctx context.Context) error
	Log(ctx context.Context, r *schemas.EraseRequest, match func(*schemas.Record) bool) (uint64, error)
	Letters(ctx context.Context, match func(*schemas.Record) bool) (uint64, error)
	Insights(ctx context.Context, match func(*schemas.Record) bool) (uint64, error)
	// Done removes the request.
	Done(ctx context.Context, r *schemas.EraseRequest) error
}

// Journal is the state of the alerts, which has quotes.
type Journal interface {
	Load(ctx context.Context) ([]byte, uint64, error)
	Swap(ctx context.Context, document []byte, expect uint64, outcomes []schemas.Outcome) (uint64, error)
}

// Table is the store.
type Table interface {
	// Traces lists the rows about the customer of a request, who has the keys, of those the log received before it.
	Traces(ctx context.Context, r *schemas.EraseRequest, keys []string) ([]schemas.Trace, error)
	// Blank takes everything out of rows but their places and identities.
	Blank(ctx context.Context, rows []schemas.Trace) error
	// UnquoteAlerts takes what events said out of alerts.
	UnquoteAlerts(ctx context.Context, tenant string, ids map[schemas.EventID]struct{}) (uint64, error)
	// Swept returns when the files that were replaced so far are gone.
	Swept(ctx context.Context, tables ...string) error
}

// Config is what an eraser needs.
type Config struct {
	Streams Streams
	Journal Journal
	Table   Table
	// Keys are the keys that the rows of a customer can bear.
	Keys func(tenant, customer string) []string
	Now  func() time.Time
	// Publish brings the receipt into the log.
	Publish func(ctx context.Context, e *schemas.Event) error
	// Idle waits until nobody holds rows in memory that were read before the call and are still to be written: a
	// reclassification under way. nil: nobody does.
	Idle func(ctx context.Context) error
	// Age is how long everything must have been stored before its messages go. Default [DefaultAge].
	Age time.Duration
	// Began is told of each request that is carried out; nil: nobody is.
	Began func(r *schemas.EraseRequest)
}

// DefaultAge is longer than a power cut can take rows back (see the decision record on what is stored): until then the
// messages are needed to bring them in again.
const DefaultAge = 150 * time.Second

// Eraser carries requests out. It belongs to one goroutine.
type Eraser struct{ cfg Config }

// New does nothing yet.
func New(cfg Config) *Eraser {
	if cfg.Age == 0 {
		cfg.Age = DefaultAge
	}
	return &Eraser{cfg}
}

// Source is the CloudEvents source of receipts.
const Source = "/earshot/erasure"

// Step carries out the requests that can be carried out now. It returns their receipts and how many have to wait.
func (e *Eraser) Step(ctx context.Context) (done []schemas.EraseReceipt, waiting int, err error) {
	requests, err := e.cfg.Streams.Requests(ctx)
	if err != nil {
		return nil, 0, err
	}
	for i := range requests {
		r := &requests[i]
		ready, err := e.cfg.Streams.Settled(ctx, r, e.cfg.Age)
		if err != nil {
			return done, 0, err
		}
		if !ready {
			waiting++
			continue
		}
		receipt, err := e.forget(ctx, r)
		if err != nil {
			return done, waiting, fmt.Errorf("carry out the request %d-%d to erase: %w", r.Shard, r.Seq, err)
		}
		done = append(done, *receipt)
	}
	return done, waiting, nil
}

// forget carries out one request.
func (e *Eraser) forget(ctx context.Context, r *schemas.EraseRequest) (*schemas.EraseReceipt, error) {
	if e.cfg.Began != nil {
		e.cfg.Began(r)
	}
	t, err := e.trace(ctx, r)
	if err != nil {
		return nil, err
	}
	out := &schemas.EraseReceipt{Request: r.ID.String(), Received: r.Received, Rows: uint64(len(t.rows)), Digest: t.digest()}
	if out.Messages, err = e.cfg.Streams.Log(ctx, r, t.mentioned); err != nil {
		return nil, err
	}
	if err := e.cfg.Streams.Copied(ctx); err != nil {
		return nil, err
	}
	if out.Letters, err = e.cfg.Streams.Letters(ctx, t.lettered); err != nil {
		return nil, err
	}
	if out.Insights, err = e.cfg.Streams.Insights(ctx, t.announced); err != nil {
		return nil, err
	}
	if err := e.unquote(ctx, t); err != nil {
		return nil, err
	}
	if out.Alerts, err = e.cfg.Table.UnquoteAlerts(ctx, r.Tenant, t.ids); err != nil {
		return nil, err
	}
	if err := e.blank(ctx, r, t.rows); err != nil {
		return nil, err
	}
	out.Done = e.cfg.Now().UTC().Truncate(time.Millisecond)
	if err := e.cfg.Publish(ctx, receipt(r, out)); err != nil {
		return nil, err
	}
	if err := e.cfg.Streams.Done(ctx, r); err != nil {
		return nil, err
	}
	return out, nil
}

// blank empties the rows until there is none left, and waits until the files that had held them are gone. A row may come
// late: from a reclassification that had read it before.
func (e *Eraser) blank(ctx context.Context, r *schemas.EraseRequest, rows []schemas.Trace) error {
	for {
		if err := e.cfg.Table.Blank(ctx, rows); err != nil {
			return err
		}
		if e.cfg.Idle != nil {
			if err := e.cfg.Idle(ctx); err != nil {
				return err
			}
		}
		var err error
		if rows, err = e.cfg.Table.Traces(ctx, r, e.cfg.Keys(r.Tenant, r.Customer)); err != nil {
			return err
		}
		if len(rows) == 0 {
			return e.cfg.Table.Swept(ctx, "feedback", "alerts")
		}
	}
}

// unquote takes what the customer said out of the alerts that are open.
func (e *Eraser) unquote(ctx context.Context, t *traces) error {
	for e.cfg.Journal != nil {
		document, seq, err := e.cfg.Journal.Load(ctx)
		if err != nil || seq == 0 || !t.named(document) {
			return err
		}
		var state any
		in := json.NewDecoder(bytes.NewReader(document))
		in.UseNumber()
		if err := in.Decode(&state); err != nil {
			return fmt.Errorf("read the state of the alerts: %w", err)
		}
		t.prune(state)
		if document, err = json.Marshal(state); err != nil {
			return err
		}
		if _, err = e.cfg.Journal.Swap(ctx, document, seq, nil); err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond) // the evaluator has just written it: again
	}
	return nil
}

// receipt is the event that says that it was done. It has the same identity however often it is done.
func receipt(r *schemas.EraseRequest, done *schemas.EraseReceipt) *schemas.Event {
	metadata, err := json.Marshal(done)
	if err != nil { // numbers, times and plain strings
		panic(err)
	}
	return &schemas.Event{
		ID: done.Request, Source: Source, Type: schemas.CustomerEraseDone.Type(), Kind: schemas.CustomerEraseDone, Time: done.Done, Tenant: r.Tenant,
		Data: schemas.Data{Channel: "other", ActorKind: "system", Metadata: metadata},
	}
}

// traces is what is known of a customer while they are being erased.
type traces struct {
	request *schemas.EraseRequest
	rows    []schemas.Trace
	ids     map[schemas.EventID]struct{}
	keys    [][]byte
	names   [][]byte // the customer's own name, plain and as JSON has it
}

func (e *Eraser) trace(ctx context.Context, r *schemas.EraseRequest) (*traces, error) {
	keys := e.cfg.Keys(r.Tenant, r.Customer)
	rows, err := e.cfg.Table.Traces(ctx, r, keys)
	if err != nil {
		return nil, err
	}
	t := &traces{request: r, rows: rows, ids: make(map[schemas.EventID]struct{}, len(rows)), names: [][]byte{[]byte(r.Customer)}}
	for _, row := range rows {
		t.ids[row.ID] = struct{}{}
	}
	for _, k := range keys {
		t.keys = append(t.keys, []byte(k))
	}
	if quoted, err := json.Marshal(r.Customer); err == nil {
		t.names = append(t.names, quoted[1:len(quoted)-1])
	}
	return t, nil
}

// digest is a hash over the places of the rows.
func (t *traces) digest() string {
	h := sha256.New()
	for _, r := range t.rows {
		fmt.Fprintf(h, "%s %d %d\n", r.Epoch, r.Shard, r.Seq)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// mentioned says whether a message of the log is about the customer: it names them, or it is one of their events, or it
// cannot be read and has their name in it.
func (t *traces) mentioned(rec *schemas.Record) bool {
	e, problems := schemas.DecodeRecord(rec)
	if len(problems) > 0 {
		return t.inside(rec)
	}
	if e.Tenant != t.request.Tenant {
		return false
	}
	_, mine := t.ids[e.Identity()]
	return mine || e.Customer() == t.request.Customer
}

// inside says whether the customer's name is in a message that cannot be read, however JSON may spell it.
func (t *traces) inside(rec *schemas.Record) bool {
	if spelled(rec.Data, t.names) {
		return true
	}
	for _, v := range rec.Header {
		if spelled([]byte(schemas.PercentDecode(v)), t.names) {
			return true
		}
	}
	return false
}

// lettered says so of a dead letter, which may also be the delivery of an alert.
func (t *traces) lettered(rec *schemas.Record) bool { return t.mentioned(rec) || t.named(rec.Data) }

// announced says whether an announcement is about the customer or quotes them.
func (t *traces) announced(rec *schemas.Record) bool {
	for _, key := range t.keys {
		if bytes.Contains(rec.Data, key) {
			return true
		}
	}
	return t.named(rec.Data)
}

// named says whether a document has the identity of one of the customer's events.
func (t *traces) named(document []byte) bool {
	for id := range t.ids {
		if bytes.Contains(document, []byte(id.String())) {
			return true
		}
	}
	return false
}

// prune takes the quotes of the customer's events out of a document, wherever they are.
func (t *traces) prune(v any) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			t.prune(x)
		}
	case map[string]any:
		for name, x := range v {
			quotes, ok := x.([]any)
			if name != "quotes" || !ok {
				t.prune(x)
				continue
			}
			left := []any{}
			for _, q := range quotes {
				if text, err := json.Marshal(q); err != nil || !t.named(text) {
					left = append(left, q)
				}
			}
			v[name] = left
		}
	}
}
