package clickhouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"github.com/earshot/earshot/schemas"
)

// revisionKinds are the kinds of changes and deletions, as a list of SQL.
func revisionKinds() string {
	return "(" + literal(string(schemas.FeedbackUpdated)) + ", " + literal(string(schemas.FeedbackDeleted)) + ")"
}

// CountRevisions counts the changes and deletions of a generation. It reads the projection.
func (s *Store) CountRevisions(ctx context.Context, generation uint32) (n uint64, err error) {
	err = s.conn.QueryRow(ctx, fmt.Sprintf("SELECT count() FROM %s WHERE generation = %d AND kind IN %s", table, generation, revisionKinds())).Scan(&n)
	return n, wrap("count changes and deletions", err)
}

// revisionColumns are what a revision is read from.
const revisionColumns = "epoch, shard, seq, event_id, tenant, source, if(source_event_id = '', '', concat(source, '#', source_event_id)), channel, event_ref, kind, occurred_at, received_at, " +
	"said_first['ref'], toInt64OrZero(said_first['occurred_at']), said_first['kind']"

// Revisions lists the changes and deletions of a generation that the log received since a time.
func (s *Store) Revisions(ctx context.Context, generation uint32, since time.Time) ([]schemas.Revision, error) {
	out, err := s.revisions(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE generation = %d AND kind IN %s AND received_at >= toDateTime64(%d, 3, 'UTC') AND event_ref != ''",
		revisionColumns, table, generation, revisionKinds(), max(since.Unix(), 0)))
	return out, wrap("list changes and deletions", err)
}

// longestChain is how many changes of changes are followed.
const longestChain = 16

// Versions lists all rows that belong to the named events: what was said first, everything that was said in its place, and in
// the place of that, whether it counts or not; each once. A name may be that of a change, too. What is not there is left out.
func (s *Store) Versions(ctx context.Context, generation uint32, refs []schemas.Revision) (out []schemas.Revision, err error) {
	l := &search{ids: map[schemas.EventID]bool{}, names: map[[2]string]bool{}}
	for _, r := range refs {
		l.name(r.Tenant, r.Ref)
	}
	seen := map[schemas.Trace]bool{}
	for range longestChain {
		if len(l.next) == 0 {
			break
		}
		for _, where := range l.round() {
			rows, err := s.revisions(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE generation = %d AND %s", revisionColumns, table, generation, where))
			if err != nil {
				return nil, wrap("list the versions of what was said", err)
			}
			for _, r := range rows {
				if seen[r.Trace] {
					continue
				}
				seen[r.Trace] = true
				out = append(out, r)
				if r.Kind != schemas.FeedbackDeleted {
					l.name(r.Tenant, r.Name)
				}
				if r.Edit() {
					l.name(r.Tenant, r.Ref)
				}
				l.id(r.Gone)
			}
		}
	}
	return out, nil
}

// search is what was looked for so far, and what is to be looked for next, as conditions of SQL.
type search struct {
	ids   map[schemas.EventID]bool
	names map[[2]string]bool // tenant and reference
	next  []string           // identities, quoted
	refs  []string           // references to them, as tuples with the tenant
	marks []string           // what is left of references to them
}

// name adds what a reference names.
func (l *search) name(tenant, ref string) {
	source, id, ok := schemas.ParseRef(ref)
	if k := [2]string{tenant, ref}; ok && !l.names[k] {
		l.names[k] = true
		identity := schemas.Identify(tenant, source, id)
		l.ids[identity] = true
		l.next = append(l.next, literal(identity.String()))
		l.refs = append(l.refs, "("+literal(tenant)+", "+literal(ref)+")")
		l.marks = append(l.marks, literal(goneMark+identity.String()))
	}
}

// id adds an event of which only the identity is known.
func (l *search) id(id schemas.EventID) {
	if id != (schemas.EventID{}) && !l.ids[id] {
		l.ids[id] = true
		l.next = append(l.next, literal(id.String()))
		l.marks = append(l.marks, literal(goneMark+id.String()))
	}
}

// round returns the conditions of the rows that are looked for next, and forgets them.
func (l *search) round() []string {
	kinds := "kind IN (" + literal(string(schemas.FeedbackUpdated)) + ", " + literal(string(schemas.FeedbackDeleted)) + ", " + literal(string(schemas.Superseded)) + ")"
	out := within("event_id", l.next)
	out = append(out, within("kind = "+literal(string(schemas.Erased))+" AND event_ref", l.marks)...)
	out = append(out, within(kinds+" AND (tenant, event_ref)", l.refs)...)
	l.next, l.refs, l.marks = nil, nil, nil
	return out
}

// listBytes is how long a list in a statement may be: a statement must stay below the server's bound of 256 KiB.
const listBytes = 192 << 10

// within says that something is one of a list, in as many conditions as its length needs.
func within(what string, list []string) (out []string) {
	for len(list) > 0 {
		n, size := 0, 0
		for n < len(list) && (n == 0 || size+len(list[n]) < listBytes) {
			size += len(list[n]) + len(", ")
			n++
		}
		out = append(out, what+" IN ("+strings.Join(list[:n], ", ")+")")
		list = list[n:]
	}
	return out
}

func (s *Store) revisions(ctx context.Context, query string) (out []schemas.Revision, err error) {
	err = s.each(ctx, query, func(row driver.Rows) error {
		var r schemas.Revision
		var shard uint16
		var id uuid.UUID
		var kind, firstKind string
		err := row.Scan(&r.Epoch, &shard, &r.Seq, &id, &r.Tenant, &r.Source, &r.Name, &r.Channel, &r.Ref, &kind, &r.Said, &r.Received,
			&r.First.Ref, &r.First.At, &firstKind)
		r.Shard, r.ID, r.Kind, r.First.Kind = int(shard), schemas.EventID(id), schemas.Kind(kind), schemas.Kind(firstKind)
		if r.Kind == schemas.Erased {
			if first, err := uuid.Parse(strings.TrimPrefix(r.Ref, goneMark)); err == nil {
				r.Gone = schemas.EventID(first)
			}
			r.Ref = ""
		}
		out = append(out, r)
		return err
	})
	return out, err
}
