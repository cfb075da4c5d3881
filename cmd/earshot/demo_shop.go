package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"sort"
	"time"

	"github.com/earshot/earshot/processors/calendar"
	"github.com/earshot/earshot/schemas"
)

// sampleShop is the second part of the sample: what a shop asks, answers and decides. All of it is invented, as
// sample/SOURCES.md says; it is there so that every named query has something to count.
//
//go:embed sample/shop.ndjson
var sampleShop []byte

// shopCalendar is when the invented shop works.
const shopCalendar = `{"tenants":{"` + demoTenant + `":{"time_zone":"Europe/Berlin",
	"hours":{"mon":["08:00-20:00"],"tue":["08:00-20:00"],"wed":["08:00-20:00"],"thu":["08:00-20:00"],"fri":["08:00-20:00"],"sat":["09:00-18:00"],"sun":["09:00-18:00"]},
	"targets":{"first_response":"4h","next_response":"6h","resolution":"48h"}}}}`

// deed is one line of the invented part.
type deed struct {
	ID         string     `json:"id"`
	Kind       string     `json:"kind"`
	By         string     `json:"by"`    // actor_kind; empty: the customer
	Agent      string     `json:"agent"` // who acted for the shop
	Case       string     `json:"case"`
	About      string     `json:"about"` // id of what is answered, or source#id of the one a case is opened on
	Channel    string     `json:"channel"`
	Customer   string     `json:"customer"`
	Product    string     `json:"product"`
	Text       string     `json:"text"`
	Language   string     `json:"language"`
	Type       string     `json:"type"` // field_type of number
	Number     *float64   `json:"number"`
	Scale      [2]float64 `json:"scale"` // lowest and highest answer, where there is a number
	Visibility string     `json:"visibility"`
	Decision   string     `json:"decision"`
	Verdict    string     `json:"verdict"`
	Outcome    string     `json:"outcome"`
	Code       string     `json:"code"`
	Theme      string     `json:"theme"`
	Promise    int64      `json:"promise_s"` // seconds after the event by which it is promised
	Ago        int64      `json:"offset_s"`  // seconds before now
}

// deeds reads the invented part, oldest first.
func deeds() (list []deed, err error) {
	err = lines(bytes.NewReader(sampleShop), "sample", func(line int, b []byte) error {
		var d deed
		if err := json.Unmarshal(b, &d); err != nil {
			return fmt.Errorf("invented sample, line %d: %w", line, err)
		}
		list = append(list, d)
		return nil
	})
	return list, err
}

// shop knows when the events of the invented part happened.
type shop struct {
	now   time.Time
	hours []calendar.Hours
	cases map[string]time.Time // the last event of each case
}

func newShop(now time.Time) (*shop, *calendar.Calendar, error) {
	list, err := calendar.Parse([]byte(shopCalendar))
	if err != nil {
		return nil, nil, err
	}
	c := &list[0]
	return &shop{now: now, hours: c.Hours(now.Year()-1, now.Year()+2), cases: map[string]time.Time{}}, c, nil
}

// at is when a deed happened: its people act within business hours, so what would be outside them is done some minutes after
// the shop opens. Events of a case stay in their order, and none is in the future.
func (s *shop) at(d *deed) time.Time {
	t := s.now.Add(-time.Duration(d.Ago) * time.Second)
	if d.By == "agent" {
		i := sort.Search(len(s.hours), func(i int) bool { return s.hours[i].Closes.After(t) })
		if i < len(s.hours) && t.Before(s.hours[i].Opens) {
			t = s.hours[i].Opens.Add(time.Duration(d.Ago%2400) * time.Second)
		}
	}
	if d.Case != "" {
		if last := s.cases[d.Case]; !t.After(last) {
			t = last.Add(time.Minute)
		}
		s.cases[d.Case] = t
	}
	if t.After(s.now) {
		return s.now
	}
	return t
}

// event makes a CloudEvent of a deed. What is answered begins a conversation, so that the answer belongs to it.
func (s *shop) event(d *deed, answered bool) *schemas.Event {
	e := &schemas.Event{
		ID: d.ID, Source: "/demo/shop", Kind: schemas.Kind(d.Kind), Tenant: demoTenant, Time: s.at(d),
		Data: schemas.Data{Channel: d.Channel, Text: d.Text, Language: d.Language, CustomerID: d.Customer, ProductID: d.Product,
			CaseID: d.Case, ActorKind: d.By, AgentID: d.Agent, Visibility: d.Visibility, FieldType: d.Type, Number: d.Number,
			DecisionText: d.Decision, Verdict: d.Verdict, Outcome: d.Outcome, ResolutionCode: d.Code, ThemeID: d.Theme},
	}
	e.Type = e.Kind.Type()
	switch {
	case e.Kind == schemas.MessagePosted && d.About != "":
		e.Data.ConversationID = d.About
	case e.Kind == schemas.MessagePosted:
		e.Data.ConversationID = d.Case
	case answered:
		e.Data.ConversationID = d.ID
	default:
		e.Causation = d.About
	}
	if e.Kind == schemas.AgentResponded && d.Visibility == "" {
		e.Data.Visibility = "public"
	}
	if d.Number != nil {
		e.Data.ScaleMin, e.Data.ScaleMax = &d.Scale[0], &d.Scale[1]
	}
	if d.Promise > 0 {
		e.Data.PromiseDue = e.Time.Add(time.Duration(d.Promise) * time.Second).UTC().Format(time.RFC3339)
	}
	return e
}

// openShop stores when the invented shop works, so that its clocks run by business hours.
func (n *node) openShop(ctx context.Context, c *calendar.Calendar) error {
	return n.work.opened().SetCalendar(ctx, stored(c))
}
