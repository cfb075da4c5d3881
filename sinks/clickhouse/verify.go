package clickhouse

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
	"github.com/google/uuid"

	"github.com/earshot/earshot/schemas"
)

// killPoll is how often the server is asked whether a killed query is gone.
const killPoll = 50 * time.Millisecond

// Kill ends the query with this token if it still runs, and returns once the server has it no longer: from then on
// nothing of it can land. A token that does not run is killed at once.
//
// It sees the queries of the server it is connected to. Where several servers stand behind one address, connect to one.
func (s *Store) Kill(ctx context.Context, token string) error {
	return s.kill(ctx, "kill "+token, "query_id = "+literal(token))
}

// KillAll does the same to every query whose token begins with the prefix.
func (s *Store) KillAll(ctx context.Context, prefix string) error {
	return s.kill(ctx, "kill "+prefix+"*", "startsWith(query_id, "+literal(prefix)+")")
}

func (s *Store) kill(ctx context.Context, op, which string) error {
	for {
		var n uint64
		if err := s.conn.QueryRow(ctx, "SELECT count() FROM system.processes WHERE "+which).Scan(&n); err != nil {
			return wrap(op, err)
		}
		if n == 0 {
			return nil
		}
		if err := s.conn.Exec(ctx, "KILL QUERY WHERE "+which+" SYNC"); err != nil {
			return wrap(op, err)
		}
		select {
		case <-ctx.Done():
			return wrap(op, ctx.Err())
		case <-time.After(killPoll):
		}
	}
}

// condition is the range as a WHERE clause. The month is spelled like the partition key, so that only the parts of that
// month are looked at; within them the index on seq leaves few.
func condition(r schemas.Range) string {
	var b strings.Builder
	fmt.Fprintf(&b, "generation = %d AND epoch = %s AND shard = %d AND seq BETWEEN %d AND %d", r.Generation, literal(r.Epoch), r.Shard, r.Lo, r.Hi)
	if r.Month != 0 {
		fmt.Fprintf(&b, " AND toYYYYMM(occurred_at) = %d", r.Month)
	}
	return b.String()
}

// ReadBack counts the rows of a range and sums their digests modulo 2^64: together they prove that the range is stored
// exactly as planned.
func (s *Store) ReadBack(ctx context.Context, r schemas.Range) (rows, digest uint64, err error) {
	err = s.conn.QueryRow(ctx, "SELECT count(), sum(digest) FROM "+table+" WHERE "+condition(r)).Scan(&rows, &digest)
	return rows, digest, wrap(fmt.Sprintf("read back %d–%d of shard %d", r.Lo, r.Hi, r.Shard), err)
}

// Stored lists the rows of a range in the order of their sequences. A sequence that is there twice is listed twice.
func (s *Store) Stored(ctx context.Context, r schemas.Range) ([]schemas.Stored, error) {
	op := fmt.Sprintf("list the rows of %d–%d of shard %d", r.Lo, r.Hi, r.Shard)
	rows, err := s.conn.Query(ctx, "SELECT seq, event_id, toYYYYMM(occurred_at), digest, kind = "+literal(string(schemas.Erased))+" FROM "+table+" WHERE "+condition(r)+" ORDER BY seq")
	if err != nil {
		return nil, wrap(op, err)
	}
	defer rows.Close()
	var out []schemas.Stored
	for rows.Next() {
		var row schemas.Stored
		var month uint32
		if err := rows.Scan(&row.Seq, (*uuid.UUID)(&row.ID), &month, &row.Digest, &row.Erased); err != nil {
			return nil, wrap(op, err)
		}
		row.Month = int(month)
		out = append(out, row)
	}
	return out, wrap(op, rows.Err())
}

// How identities are looked up. For a few the bloom index leaves most granules out, but each granule is checked for each
// identity, and the more there are the fewer are left out. From about 2,000 on it is quicker to read the column event_id,
// 16 bytes a row, once, and to hold it against a hash set (BenchmarkKnown).
const (
	knownFew   = 2000    // their statement stays under the server's default bound of 256 KiB
	knownChunk = 100_000 // identities of one statement beyond that, 1.6 MB
)

// Known returns which of the identities the rows of a generation already have. Rows of the given shard and epoch from
// sequence before on are left out: they are what the caller is about to decide on, or has stored itself.
func (s *Store) Known(ctx context.Context, generation uint32, epoch string, shard int, before uint64, ids []schemas.EventID) (map[schemas.EventID]struct{}, error) {
	known := make(map[schemas.EventID]struct{})
	q := fmt.Sprintf("SELECT DISTINCT event_id FROM %s WHERE generation = %d AND NOT (epoch = %s AND shard = %d AND seq >= %d) AND event_id IN ",
		table, generation, literal(epoch), shard, before)
	for chunk := range slices.Chunk(ids, knownChunk) {
		asked, list, err := asking(ctx, chunk)
		if err != nil {
			return nil, fmt.Errorf("look up %d identities: %w", len(ids), err)
		}
		for id, err := range s.ids(asked, q+list) {
			if err != nil {
				return nil, wrap(fmt.Sprintf("look up %d identities", len(ids)), err)
			}
			known[id] = struct{}{}
		}
	}
	return known, nil
}

// asking is how a statement asks for identities: what follows its IN, and the context to run it with.
func asking(ctx context.Context, ids []schemas.EventID) (context.Context, string, error) {
	if len(ids) <= knownFew {
		out := make([]string, len(ids))
		for i := range ids {
			out[i] = ids[i].String()
		}
		return ctx, "('" + strings.Join(out, "','") + "')", nil
	}
	t, err := askedTable(ids)
	if err != nil {
		return nil, "", err
	}
	return ch.Context(ctx, ch.WithExternalTable(t), ch.WithSettings(ch.Settings{"use_skip_indexes": 0})), "asked", nil
}

// askedTable is a table of identities that goes along with a statement.
func askedTable(ids []schemas.EventID) (*ext.Table, error) {
	t, err := ext.NewTable("asked", ext.Column("id", "UUID"))
	if err != nil {
		return nil, err
	}
	for i := range ids {
		if err := t.Append(uuid.UUID(ids[i])); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Recent returns up to limit identities of a shard's rows, the newest first: those before a sequence of the given epoch,
// and all of other epochs, because an identity stays taken when a stream is made anew.
func (s *Store) Recent(ctx context.Context, generation uint32, epoch string, shard int, before uint64, limit int) ([]schemas.EventID, error) {
	var out []schemas.EventID
	q := fmt.Sprintf("SELECT event_id FROM %s WHERE generation = %d AND shard = %d AND NOT (epoch = %s AND seq >= %d) ORDER BY received_at DESC, seq DESC LIMIT %d",
		table, generation, shard, literal(epoch), before, limit)
	for id, err := range s.ids(ctx, q) {
		if err != nil {
			return nil, wrap(fmt.Sprintf("list the newest identities of shard %d", shard), err)
		}
		out = append(out, id)
	}
	return out, nil
}

// ids yields the identities that a query selects; an error comes last.
func (s *Store) ids(ctx context.Context, query string) iter.Seq2[schemas.EventID, error] {
	return func(yield func(schemas.EventID, error) bool) {
		rows, err := s.conn.Query(ctx, query)
		if err != nil {
			yield(schemas.EventID{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var id uuid.UUID
			if err := rows.Scan(&id); err != nil {
				yield(schemas.EventID{}, err)
				return
			}
			if !yield(schemas.EventID(id), nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(schemas.EventID{}, err)
		}
	}
}

// MaxSeq is the highest sequence stored in a range, 0 if there is none.
func (s *Store) MaxSeq(ctx context.Context, r schemas.Range) (uint64, error) {
	var seq uint64
	err := s.conn.QueryRow(ctx, "SELECT max(seq) FROM "+table+" WHERE "+condition(r)).Scan(&seq)
	return seq, wrap("find the last sequence of shard "+strconv.Itoa(r.Shard), err)
}

// Count is how many rows of a shard in an epoch are stored up to a sequence, that one included, and how many different
// sequences they have: the two differ only if a row is there twice.
func (s *Store) Count(ctx context.Context, generation uint32, epoch string, shard int, upTo uint64) (rows, distinct uint64, err error) {
	err = s.conn.QueryRow(ctx, fmt.Sprintf("SELECT count(), uniqExact(seq) FROM %s WHERE generation = %d AND epoch = %s AND shard = %d AND seq <= %d",
		table, generation, literal(epoch), shard, upTo)).Scan(&rows, &distinct)
	return rows, distinct, wrap("count the rows of shard "+strconv.Itoa(shard), err)
}

// exec runs a statement that has no result.
func (s *Store) exec(ctx context.Context, statement string, settings ch.Settings) error {
	if settings != nil {
		ctx = ch.Context(ctx, ch.WithSettings(settings))
	}
	return s.conn.Exec(ctx, statement)
}
