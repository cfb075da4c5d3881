package clickhouse

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"github.com/earshot/earshot/schemas"
)

// Traces lists the rows that are about the customer of a request, of all classifications, each once: those that bear one of
// the keys, and those of the company's people in cases and conversations in which nobody but this customer is named. What
// the log received after the request does not count, and what is erased already does not either.
func (s *Store) Traces(ctx context.Context, r *schemas.EraseRequest, keys []string) (out []schemas.Trace, err error) {
	tenant := r.Tenant
	quoted := make([]string, len(keys))
	for i, k := range keys {
		quoted[i] = literal(k)
	}
	mine := "customer_key IN (" + strings.Join(quoted, ", ") + ")"
	const threads = "arrayJoin(arrayFilter(x -> x != '', [case_id, conversation_id, correlation_id]))"
	query := fmt.Sprintf(`WITH
	own AS (SELECT DISTINCT %[1]s AS thread FROM feedback WHERE tenant = %[2]s AND %[3]s),
	shared AS (SELECT DISTINCT thread FROM (SELECT %[1]s AS thread FROM feedback WHERE tenant = %[2]s AND customer_key != '' AND NOT %[3]s) WHERE thread IN own)
SELECT DISTINCT epoch, shard, seq, event_id FROM feedback
WHERE tenant = %[2]s AND kind != %[4]s AND received_at <= toDateTime64(%[5]s, 3, 'UTC')
	AND NOT (epoch = %[6]s AND shard = %[7]d AND seq > %[8]d)
	AND (%[3]s OR customer_key = '' AND hasAny([case_id, conversation_id, correlation_id], (SELECT groupArray(thread) FROM own WHERE thread NOT IN shared)))
ORDER BY epoch, shard, seq`,
		threads, literal(tenant), mine, literal(string(schemas.Erased)), literal(r.Received.UTC().Format("2006-01-02 15:04:05.000")), literal(r.Epoch), r.Shard, r.Seq)
	err = s.each(ctx, query, func(row driver.Rows) error {
		var t schemas.Trace
		var shard uint16
		var id uuid.UUID
		err := row.Scan(&t.Epoch, &shard, &t.Seq, &id)
		t.Shard, t.ID = int(shard), schemas.EventID(id)
		out = append(out, t)
		return err
	})
	return out, wrap("find the rows of a customer", err)
}

// kept are the columns that are left of an erased row: where it was, what it is known by when it comes again, and when it
// was, to the hour and channel that the table is sorted by.
func kept() []string {
	return []string{"tenant", "event_id", "kind", "channel", "occurred_at", "received_at", "generation", "epoch", "shard", "seq", "digest", "actor_kind"}
}

// alterChunk is how many sequences one statement names; a statement must stay below the server's bound of 256 KiB.
const alterChunk = 10_000

// Blank takes everything out of rows of all classifications but their places. Their projection is made again without them.
// It returns when new parts have taken the place of the old; see [Store.Swept] for the old ones. The statement, which the
// server writes down, names places in the log only.
func (s *Store) Blank(ctx context.Context, rows []schemas.Trace) error {
	return wrap("erase rows", s.forgetting(ctx, func() error { return s.alter(ctx, blank("''"), rows) }))
}

// blank are the assignments that empty a row. Of event_ref something may be left.
func blank(ref string) string {
	sets := []string{"kind = " + literal(string(schemas.Erased)), "actor_kind = 'system'", "event_ref = " + ref}
	for i := range columns {
		if c := &columns[i]; !slices.Contains(kept(), c.name) && c.name != "event_ref" {
			sets = append(sets, c.name+" = defaultValueOfTypeName("+literal(c.typ)+")")
		}
	}
	return strings.Join(sets, ", ")
}

// goneMark begins the event_ref of a row that was emptied because what was said first was taken back; the identity of that
// follows. So what comes in later is known to belong to it, and no name is left.
const goneMark = "@"

// withdrawChunk is how many rows one statement of [Store.TakeBack] names, each with its place and an identity.
const withdrawChunk = 2000

// TakeBack blanks rows, and leaves in each the identity of what was said first.
func (s *Store) TakeBack(ctx context.Context, rows []schemas.Withdrawal) error {
	return s.forgetting(ctx, func() error { return s.takeBack(ctx, rows) })
}

func (s *Store) takeBack(ctx context.Context, rows []schemas.Withdrawal) error {
	by := map[stream][]schemas.Withdrawal{}
	for _, r := range rows {
		k := stream{r.Epoch, r.Shard}
		by[k] = append(by[k], r)
	}
	for _, own := range by {
		for chunk := range slices.Chunk(own, withdrawChunk) {
			var traces []schemas.Trace
			var seqs, marks []string
			for _, r := range chunk {
				traces = append(traces, r.Trace)
				seqs = append(seqs, fmt.Sprint(r.Seq))
				marks = append(marks, literal(goneMark+r.First.String()))
			}
			ref := "transform(seq, [" + strings.Join(seqs, ",") + "], [" + strings.Join(marks, ",") + "], '')"
			if err := s.alter(ctx, blank(ref), traces); err != nil {
				return wrap("empty rows that were taken back", err)
			}
		}
	}
	return nil
}

// Supersede marks rows of all classifications as no longer counting. They keep their words, and what was said first keeps its
// kind elsewhere. Edits, and they alone, keep what they name; see [schemas.Revision.Edit].
func (s *Store) Supersede(ctx context.Context, rows []schemas.Trace) error {
	return wrap("mark rows as superseded", s.alter(ctx, fmt.Sprintf("kind = %s, event_ref = if(kind IN (%s, %[1]s), event_ref, ''), said_first = if(kind IN (%[2]s, %[1]s), said_first, map('kind', toString(kind)))",
		literal(string(schemas.Superseded)), literal(string(schemas.FeedbackUpdated))), rows))
}

// stream is one making of a shard's stream.
type stream struct {
	epoch string
	shard int
}

// alter sets columns of rows, and then, from what these hold now, others: of those of the rows that have said_first.
func (s *Store) alter(ctx context.Context, sets string, rows []schemas.Trace, then ...string) error {
	by := map[stream][]string{}
	for _, r := range rows {
		k := stream{r.Epoch, r.Shard}
		by[k] = append(by[k], fmt.Sprint(r.Seq))
	}
	for k, seqs := range by {
		for chunk := range slices.Chunk(seqs, alterChunk) {
			where := fmt.Sprintf("WHERE epoch = %s AND shard = %d AND seq IN (%s) AND kind != %s", literal(k.epoch), k.shard, strings.Join(chunk, ","), literal(string(schemas.Erased)))
			statement := fmt.Sprintf("ALTER TABLE %s UPDATE %s %s", table, sets, where)
			for _, more := range then {
				statement += fmt.Sprintf(", UPDATE %s %s AND notEmpty(said_first)", more, where)
			}
			if err := s.exec(ctx, statement, ch.Settings{"mutations_sync": 2}); err != nil {
				return err
			}
		}
	}
	return nil
}

// forgetting drops the cache before and after something that empties rows: before, so that nobody finds them there whatever
// happens meanwhile, and after, because somebody may have made it again from what was there still.
func (s *Store) forgetting(ctx context.Context, empty func() error) error {
	for _, step := range []func() error{func() error { return s.DropCache(ctx) }, empty, func() error { return s.DropCache(ctx) }} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// sweepPoll is how often the server is asked whether it has removed its old files.
const sweepPoll = 500 * time.Millisecond

// Swept returns when the files that the server has replaced so far are gone from its disk; until then their bytes are there.
// The server removes them by itself, up to five minutes later, and at once when a partition is dropped: so one is that does
// not exist. A server may keep them for longer (old_parts_lifetime, eight minutes by default).
func (s *Store) Swept(ctx context.Context, tables ...string) error {
	const op = "wait until replaced files are removed"
	names := make([]string, len(tables))
	for i, t := range tables {
		names[i] = literal(t)
	}
	old := "SELECT table || '/' || name FROM system.parts WHERE NOT active AND database = " + literal(s.database) + " AND table IN (" + strings.Join(names, ", ") + ")"
	var waiting map[string]bool
	for {
		for _, t := range tables {
			if err := s.exec(ctx, "ALTER TABLE "+identifier(t)+" DROP PARTITION ID "+literal(nowhere(t)), nil); err != nil {
				return wrap(op, err)
			}
		}
		there := map[string]bool{}
		err := s.each(ctx, old, func(row driver.Rows) error {
			var name string
			err := row.Scan(&name)
			there[name] = true
			return err
		})
		if err != nil {
			return wrap(op, err)
		}
		if waiting == nil {
			waiting = there
		}
		for name := range waiting {
			if !there[name] {
				delete(waiting, name)
			}
		}
		if len(waiting) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return wrap(op, ctx.Err())
		case <-time.After(sweepPoll):
		}
	}
}

// nowhere is the id of a partition that a table does not have.
func nowhere(name string) string {
	if name == table {
		return "0-197001" // generations count from 1
	}
	return "none"
}

// UnquoteAlerts takes what the events said out of the alerts that quote them, and returns how many that were.
func (s *Store) UnquoteAlerts(ctx context.Context, tenant string, ids map[schemas.EventID]struct{}) (uint64, error) {
	const op = "take quotes out of alerts"
	type change struct{ id, quotes string }
	var changes []change
	if len(ids) == 0 {
		return 0, nil
	}
	err := s.each(ctx, "SELECT DISTINCT alert_id, details FROM alerts WHERE tenant = "+literal(tenant)+" AND position(details, '\"quotes\"') > 0", func(row driver.Rows) error {
		var c change
		var details string
		if err := row.Scan(&c.id, &details); err != nil {
			return err
		}
		var a schemas.Alert
		if json.Unmarshal([]byte(details), &a) != nil || !a.Unquote(ids) {
			return nil
		}
		left, err := json.Marshal(map[string][]schemas.AlertQuote{"quotes": a.Quotes})
		c.quotes = string(left)
		changes = append(changes, c)
		return err
	})
	if err != nil {
		return 0, wrap(op, err)
	}
	for _, c := range changes {
		err := s.exec(ctx, "ALTER TABLE alerts UPDATE details = JSON_MERGE_PATCH(details, "+literal(c.quotes)+") WHERE tenant = "+literal(tenant)+
			" AND alert_id = "+literal(c.id), ch.Settings{"mutations_sync": 2}) // its beginning and its end have the same quotes
		if err != nil {
			return 0, wrap(op, err)
		}
	}
	return uint64(len(changes)), nil
}
