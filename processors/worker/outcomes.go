package worker

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/schemas"
)

// InsightType is the CloudEvents type of an insight.
const InsightType = "insight.raised.v1"

// Insight is the data of an insight: a row that a person should act on. It carries no text and no customer's name; the
// event is found in the table by EventID.
type Insight struct {
	EventID        string          `json:"event_id"`
	Tenant         string          `json:"tenant"`
	Channel        string          `json:"channel"`
	Kind           schemas.Kind    `json:"kind"`
	OccurredAt     time.Time       `json:"occurred_at"`
	CustomerKey    string          `json:"customer_key,omitempty"`
	CaseID         string          `json:"case_id,omitempty"`
	Polarity       string          `json:"polarity"`
	Score          float32         `json:"score"`
	Confidence     float32         `json:"confidence"`
	Intent         schemas.Intent  `json:"intent"`
	Element        schemas.Element `json:"element"`
	Themes         []string        `json:"themes,omitempty"`
	Urgency        schemas.Urgency `json:"urgency"`
	ResponseNeeded bool            `json:"response_needed"`
	ChurnRisk      float32         `json:"churn_risk"`
	ChurnReasons   []string        `json:"churn_reasons,omitempty"`
	Model          string          `json:"model"`
	Shard          uint16          `json:"shard"`
	Seq            uint64          `json:"seq"`
	Generation     uint32          `json:"generation"`
}

// actionable says whether a row becomes an insight: somebody waits for an answer, or a customer is about to leave, and it
// is not history. What is imported or arrives late is stored and counted like everything else, but nobody is called to it.
func (w *Worker) actionable(r *schemas.Row) bool {
	return (r.Labels.ResponseNeeded || r.Labels.Intent == schemas.ChurnNotice) &&
		r.ReceivedAt.Sub(r.Event.Time) <= w.cfg.InsightMaxAge
}

// outcomes lists what a batch publishes, in an order that depends on the batch alone, so that a commit interrupted
// between two pieces can go on where it was. The dead letters come first: they are the same whatever classifier and
// settings the next session has, which may raise other insights.
func (w *Worker) outcomes(b *batch) []schemas.Outcome {
	var out []schemas.Outcome
	for i := range b.dead {
		out = append(out, w.deadLetter(&b.dead[i]))
	}
	for i := range b.rows {
		if r := &b.rows[i]; r.Seq > w.cp.Quiet && w.actionable(r) {
			out = append(out, w.insight(r))
		}
	}
	return out
}

func (w *Worker) insight(r *schemas.Row) schemas.Outcome {
	e, l := r.Event, &r.Labels
	in := Insight{
		EventID: r.ID.String(), Tenant: e.Tenant, Channel: e.Data.Channel, Kind: e.Kind, OccurredAt: e.Time,
		CustomerKey: r.CustomerKey, CaseID: e.Data.CaseID, Polarity: string(l.Polarity), Score: l.Score,
		Confidence: l.Confidence, Intent: l.Intent, Element: l.Element, Urgency: l.Urgency,
		ResponseNeeded: l.ResponseNeeded, ChurnRisk: l.ChurnRisk, ChurnReasons: l.ChurnReasons, Model: l.Model,
		Shard: r.Shard, Seq: r.Seq, Generation: r.Generation,
	}
	for _, m := range l.Mentions {
		if m.Theme != "" {
			in.Themes = append(in.Themes, m.Theme)
		}
	}
	id := fmt.Sprintf("%s-g%d", r.ID, r.Generation)
	body, err := json.Marshal(struct {
		SpecVersion string    `json:"specversion"`
		ID          string    `json:"id"`
		Source      string    `json:"source"`
		Type        string    `json:"type"`
		Time        time.Time `json:"time"`
		TenantID    string    `json:"tenantid"`
		ContentType string    `json:"datacontenttype"`
		Data        Insight   `json:"data"`
	}{"1.0", id, fmt.Sprintf("/earshot/shard/%d", r.Shard), InsightType, r.ReceivedAt, e.Tenant, "application/json", in})
	if err != nil { // every field is a plain string, number or list of them
		panic(fmt.Sprintf("encode insight %s: %v", id, err))
	}
	return schemas.Outcome{
		Subject: schemas.InsightSubject(e.Tenant, e.Data.Channel, l.Intent),
		ID:      id,
		Header:  map[string]string{schemas.HeaderContentType: schemas.ContentTypeEvent, schemas.HeaderEventID: r.ID.String()},
		Data:    body,
	}
}

// deadLetter keeps the original bytes and headers, so that it can be read, mended and sent again.
func (w *Worker) deadLetter(d *dead) schemas.Outcome {
	h := map[string]string{}
	for k, v := range d.record.Header {
		if !strings.HasPrefix(strings.ToLower(k), "nats-") { // instructions to the broker, not part of the event
			h[k] = v
		}
	}
	maps.Copy(h, map[string]string{
		schemas.HeaderReason:   string(d.reason),
		schemas.HeaderDetail:   headerText(d.detail),
		schemas.HeaderStream:   schemas.FeedbackStream(w.cfg.Shard),
		schemas.HeaderSequence: strconv.FormatUint(d.record.Seq, 10),
		schemas.HeaderSubject:  d.record.Subject,
		schemas.HeaderReceived: d.record.Time.UTC().Format(time.RFC3339Nano),
	})
	if d.code != 0 {
		h[schemas.HeaderCode] = strconv.Itoa(d.code)
	}
	return schemas.Outcome{
		Subject: schemas.DeadSubject(w.cfg.Shard, d.reason),
		ID:      schemas.LetterID{Epoch: w.cfg.Log.Epoch(), Shard: w.cfg.Shard, Seq: d.record.Seq}.String(),
		Header:  h,
		Data:    d.record.Data,
	}
}

// headerText makes a header value of any text: one line of valid UTF-8, at most 4 KiB.
func headerText(s string) string {
	const limit = 4 << 10
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	if len(s) <= limit {
		return s
	}
	cut := limit
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}
