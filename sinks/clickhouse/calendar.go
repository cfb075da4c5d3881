package clickhouse

import (
	"context"
	"fmt"
	"time"
)

// Calendar is when a tenant works and how fast it means to answer, as the tables calendars and calendar_hours hold it.
type Calendar struct {
	Tenant     string
	Zone       string            // IANA name
	Wall       bool              // targets are judged by the wall clock
	Targets    map[string]uint32 // seconds, by metric and by metric/channel
	Definition string            // as it was written
	Revision   uint64            // of Hours; 0: day and night
	Hours      []OpenHours       // in order
}

// OpenHours is one time for which a calendar is open.
type OpenHours struct {
	Opens, Closes time.Time     // whole seconds, the end left out
	Before        time.Duration // open time of the calendar before Opens
}

// SetCalendar stores a calendar; the newest of a tenant counts. The hours are there before the row that makes them count, so
// that a calendar that is cut off counts for nothing, and setting it again is safe.
func (s *Store) SetCalendar(ctx context.Context, c *Calendar) error {
	op := "set the calendar of tenant " + c.Tenant
	var there, change uint64
	if err := s.conn.QueryRow(ctx, fmt.Sprintf("SELECT uniqExact(opens) FROM calendar_hours WHERE tenant = %s AND revision = %d", literal(c.Tenant), c.Revision)).Scan(&there); err != nil {
		return wrap(op, err)
	}
	if there != uint64(len(c.Hours)) {
		batch, err := s.conn.PrepareBatch(ctx, "INSERT INTO calendar_hours (tenant, revision, opens, closes, before)")
		if err != nil {
			return wrap(op, err)
		}
		for i := range c.Hours {
			h := &c.Hours[i]
			if err := batch.Append(c.Tenant, c.Revision, h.Opens, h.Closes, int64(h.Before/time.Second)); err != nil {
				return wrap(op, err)
			}
		}
		if err := batch.Send(); err != nil {
			return wrap(op, err)
		}
	}
	if err := s.conn.QueryRow(ctx, "SELECT max(change) FROM calendars").Scan(&change); err != nil {
		return wrap(op, err)
	}
	batch, err := s.conn.PrepareBatch(ctx, "INSERT INTO calendars (tenant, change, revision, time_zone, clock, targets, definition)")
	if err != nil {
		return wrap(op, err)
	}
	clock := "business"
	if c.Wall {
		clock = "wall"
	}
	targets := c.Targets
	if targets == nil {
		targets = map[string]uint32{}
	}
	if err := batch.Append(c.Tenant, change+1, c.Revision, c.Zone, clock, targets, c.Definition); err != nil {
		return wrap(op, err)
	}
	return wrap(op, batch.Send())
}
