package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/measure"
	"github.com/earshot/earshot/schemas"
)

// naiveBatch is how many rows the naive contender inserts at once.
const naiveBatch = 5000

// naiveEvent is an event as encoding/json reads it.
type naiveEvent struct {
	ID     string    `json:"id"`
	Source string    `json:"source"`
	Type   string    `json:"type"`
	Time   time.Time `json:"time"`
	Tenant string    `json:"tenantid"`
	Data   struct {
		Channel    string   `json:"channel"`
		FieldType  string   `json:"field_type"`
		Text       string   `json:"value_text"`
		Number     *float64 `json:"value_number"`
		ScaleMin   *float64 `json:"scale_min"`
		ScaleMax   *float64 `json:"scale_max"`
		Language   string   `json:"language"`
		CustomerID string   `json:"customer_id"`
		ProductID  string   `json:"product_id"`
	} `json:"data"`
}

// naiveColumns are the columns that the events of a measurement have something for; the others stay at their defaults, as
// they do when earshot's worker writes.
var naiveColumns = strings.Fields(`tenant source source_event_id event_id kind channel occurred_at received_at generation
	epoch shard seq customer_key product_id actor_kind visibility field_type text language language_given value_number
	scale_min scale_max scale_dir pii_state polarity sentiment score confidence p_negative p_neutral p_positive intent
	intent_confidence element urgency response_needed effort churn_risk churn_reasons quality model mention_element
	mention_facet mention_s5 mention_theme mention_polarity mention_confidence mention_start mention_end element_product
	element_service element_image facet_quality facet_packaging facet_price facet_presale facet_sale facet_aftersale
	facet_impression s5_smile s5_speed s5_sincerity s5_smart s5_study rating csat`)

// plain is the same work as the worker's, done the way it is written in an afternoon: one message after the other, a row
// at a time, without telling duplicates apart and without a plan.
type plain struct {
	*contender
	db    driver.Conn
	epoch string

	mu   sync.Mutex
	rows [][]any
	msgs []jetstream.Msg
	err  error
}

func (c *contender) naive(ctx context.Context) (func(context.Context) error, error) {
	db, err := openDriver(c.DSN, c.Database)
	if err != nil {
		return nil, err
	}
	if err := db.Ping(ctx); err != nil {
		return nil, fmt.Errorf("reach ClickHouse: %w", err)
	}
	st, err := c.js.Stream(ctx, schemas.FeedbackStream(0))
	if err != nil {
		return nil, err
	}
	p := &plain{contender: c, db: db, epoch: st.CachedInfo().Config.Metadata[schemas.EpochKey]}
	return p.run, nil
}

func (p *plain) run(ctx context.Context) error {
	cons, err := p.js.Consumer(ctx, schemas.FeedbackStream(0), naive)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	fail := func(err error) {
		if err != nil && ctx.Err() == nil {
			select {
			case failed <- err:
			default:
			}
		}
	}
	reading, err := cons.Consume(func(m jetstream.Msg) {
		p.mu.Lock()
		defer p.mu.Unlock()
		err := p.add(m)
		if err == nil && len(p.rows) == naiveBatch {
			err = p.flush(ctx)
		}
		fail(err)
	}, jetstream.PullMaxMessages(naiveBatch))
	if err != nil {
		return err
	}
	defer reading.Stop()
	t := time.NewTicker(200 * time.Millisecond) // for the last rows, which fill no batch
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case <-t.C:
			p.mu.Lock()
			if len(p.rows) > 0 {
				fail(p.flush(ctx))
			}
			p.mu.Unlock()
		}
	}
}

// add makes a row of a message.
func (p *plain) add(m jetstream.Msg) error {
	var in naiveEvent
	if err := json.Unmarshal(m.Data(), &in); err != nil {
		return fmt.Errorf("read an event: %w", err)
	}
	meta, err := m.Metadata()
	if err != nil {
		return err
	}
	d := &in.Data
	e := &schemas.Event{
		ID: in.ID, Source: in.Source, Type: in.Type, Kind: schemas.Kind(strings.TrimSuffix(in.Type, ".v1")), Time: in.Time, Tenant: in.Tenant,
		Data: schemas.Data{Channel: d.Channel, FieldType: d.FieldType, Text: d.Text, Number: d.Number, ScaleMin: d.ScaleMin,
			ScaleMax: d.ScaleMax, Language: d.Language, CustomerID: d.CustomerID, ProductID: d.ProductID},
	}
	l := p.classifier.Classify(classify.Input{Text: d.Text, Language: d.Language, Kind: e.Kind, Channel: d.Channel,
		FieldType: d.FieldType, Rating: measure.Rating(e)})
	s := measure.Measure(e, &l)
	var effort *int8
	if l.Effort != 0 {
		effort = &l.Effort
	}
	var elements, facets, virtues, themes []string
	var polarities, confidences []float32
	var starts, ends []uint32
	for _, m := range l.Mentions {
		elements, facets = append(elements, string(m.Element)), append(facets, string(m.Facet))
		virtues, themes = append(virtues, string(m.S5)), append(themes, m.Theme)
		polarities, confidences = append(polarities, m.Polarity), append(confidences, m.Confidence)
		starts, ends = append(starts, m.Start), append(ends, m.End)
	}
	row := []any{
		e.Tenant, e.Source, e.ID, uuid.UUID(e.Identity()), string(e.Kind), d.Channel, e.Time, meta.Timestamp.UTC(), uint32(1),
		p.epoch, uint16(0), meta.Sequence.Stream, p.keyer.Key(e.Tenant, d.CustomerID), d.ProductID, "customer", "public",
		d.FieldType, d.Text, l.Language, d.Language, d.Number,
		d.ScaleMin, d.ScaleMax, "higher_better", "raw", string(l.Polarity), string(l.Sentiment), l.Score, l.Confidence,
		l.Probabilities[0], l.Probabilities[1], l.Probabilities[2], string(l.Intent),
		l.IntentConfidence, string(l.Element), string(l.Urgency), l.ResponseNeeded, effort, l.ChurnRisk, l.ChurnReasons,
		string(l.Quality), l.Model, elements, facets, virtues, themes, polarities, confidences, starts, ends,
	}
	for _, axis := range [][]schemas.Score{s.Element[:], s.Facet[:], s.S5[:], {s.Rating, s.CSAT}} {
		for _, x := range axis {
			if x.Valid {
				row = append(row, x.Value)
			} else {
				row = append(row, nil)
			}
		}
	}
	p.rows, p.msgs = append(p.rows, row), append(p.msgs, m)
	return nil
}

// flush inserts the rows and then acknowledges their messages.
func (p *plain) flush(ctx context.Context) error {
	batch, err := p.db.PrepareBatch(ctx, "INSERT INTO "+naiveTable+" ("+strings.Join(naiveColumns, ", ")+")")
	if err != nil {
		return fmt.Errorf("begin an insert: %w", err)
	}
	defer batch.Close()
	for _, row := range p.rows {
		if err := batch.Append(row...); err != nil {
			return fmt.Errorf("append a row: %w", err)
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("insert %d rows: %w", len(p.rows), err)
	}
	for _, m := range p.msgs {
		if err := m.Ack(); err != nil {
			return fmt.Errorf("acknowledge: %w", err)
		}
	}
	p.rows, p.msgs = p.rows[:0], p.msgs[:0]
	return nil
}
