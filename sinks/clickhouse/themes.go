package clickhouse

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"github.com/earshot/earshot/schemas"
)

// Themes returns the themes of every tenant that has any, as they are now.
func (s *Store) Themes(ctx context.Context) (map[string]schemas.ThemeBook, error) {
	out := map[string]schemas.ThemeBook{}
	err := s.each(ctx, `SELECT tenant, version, id, name, named, phrases, hidden, merged_into, element, until, customers, recent, before, emergent,
		growth_low, chance, log_odds FROM themes_current ORDER BY tenant, id`, func(rows driver.Rows) error {
		var tenant, element string
		var version, customers, recent, before uint32
		var until *time.Time
		var t schemas.Theme
		f := &t.Found
		if err := rows.Scan(&tenant, &version, &t.ID, &t.Name, &t.Named, &t.Phrases, &t.Hidden, &t.Into, &element, &until,
			&customers, &recent, &before, &f.Emergent, &f.GrowthLow, &f.Chance, &f.LogOdds); err != nil {
			return err
		}
		t.Element = schemas.Element(element)
		f.Customers, f.Recent, f.Before = int(customers), int(recent), int(before)
		if until != nil {
			f.Until = until.UTC()
		}
		book := out[tenant]
		book.Version, book.Themes = version, append(book.Themes, t)
		out[tenant] = book
		return nil
	})
	return out, wrap("read the themes", err)
}

// SaveThemes writes a new version of a tenant's themes. It fails with [schemas.ErrLost] if somebody else has written that
// version before; then theirs counts. A version without themes is not written.
func (s *Store) SaveThemes(ctx context.Context, tenant string, book schemas.ThemeBook) error {
	op := fmt.Sprintf("write version %d of the themes of %s", book.Version, tenant)
	if len(book.Themes) == 0 {
		return nil
	}
	batch, err := s.conn.PrepareBatch(ctx, `INSERT INTO themes (tenant, version, writer, id, name, named, phrases, hidden, merged_into, element, until,
		customers, recent, before, emergent, growth_low, chance, log_odds)`)
	if err != nil {
		return wrap(op, err)
	}
	defer batch.Close()
	writer := uuid.New()
	for i := range book.Themes {
		t := &book.Themes[i]
		f := &t.Found
		var until *time.Time
		if !f.Until.IsZero() {
			until = &f.Until
		}
		if err := batch.Append(tenant, book.Version, writer, t.ID, t.Name, t.Named, t.Phrases, t.Hidden, t.Into, string(t.Element), until,
			uint32(f.Customers), uint32(f.Recent), uint32(f.Before), f.Emergent, f.GrowthLow, f.Chance, f.LogOdds); err != nil {
			return wrap(op, err)
		}
	}
	if err := batch.Send(); err != nil {
		return wrap(op, err)
	}
	var first uuid.UUID
	if err := s.conn.QueryRow(ctx, fmt.Sprintf("SELECT argMin(writer, (at, writer)) FROM themes WHERE tenant = %s AND version = %d", literal(tenant), book.Version)).Scan(&first); err != nil {
		return wrap(op, err)
	}
	if first != writer {
		return fmt.Errorf("%s: somebody else changed them at the same time, so nothing was changed; do it again: %w", op, schemas.ErrLost)
	}
	return nil
}

// Said calls f for the newest texts of a tenant's customers between two moments, the second left out, at most so many, from
// the oldest on, with what their labels say.
func (s *Store) Said(ctx context.Context, tenant string, from, to time.Time, most int, f func(schemas.Said)) error {
	op := "read what the customers of " + tenant + " said"
	err := s.each(ctx, fmt.Sprintf(`SELECT if(customer_key = '', toString(event_id), customer_key), occurred_at, text, polarity = 'negative' OR intent IN ('complaint', 'churn_notice'),
			mention_element, mention_theme, mention_start, mention_end
		FROM (SELECT * FROM feedback_current WHERE tenant = %s AND actor_kind = 'customer' AND text != '' AND quality = 'ok' AND occurred_at >= fromUnixTimestamp64Milli(%d) AND occurred_at < fromUnixTimestamp64Milli(%d)
			ORDER BY occurred_at DESC, event_id LIMIT %d)
		ORDER BY occurred_at, event_id`, literal(tenant), from.UnixMilli(), to.UnixMilli(), most), func(rows driver.Rows) error {
		var t schemas.Said
		var elements, themes []string
		var starts, ends []uint32
		if err := rows.Scan(&t.Customer, &t.At, &t.Text, &t.Unhappy, &elements, &themes, &starts, &ends); err != nil {
			return err
		}
		for i := range elements {
			t.Mentions = append(t.Mentions, schemas.Mention{Element: schemas.Element(elements[i]), Theme: themes[i], Start: starts[i], End: ends[i]})
		}
		f(t)
		return nil
	})
	return wrap(op, err)
}

// Speaking lists the tenants whose customers said something since a moment.
func (s *Store) Speaking(ctx context.Context, since time.Time) (out []string, err error) {
	err = s.each(ctx, fmt.Sprintf("SELECT DISTINCT tenant FROM feedback_current WHERE actor_kind = 'customer' AND text != '' AND occurred_at >= toDateTime64(%d, 3, 'UTC') ORDER BY tenant", since.Unix()),
		func(rows driver.Rows) error {
			var tenant string
			err := rows.Scan(&tenant)
			out = append(out, tenant)
			return err
		})
	return out, wrap("list the tenants", err)
}
