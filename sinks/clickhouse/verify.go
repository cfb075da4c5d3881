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
	op := "kill " + token
	for {
		var n uint64
		if err := s.conn.QueryRow(ctx, "SELECT count() FROM system.processes WHERE query_id = "+literal(token)).Scan(&n); err != nil {
			return wrap(op, err)
		}
		if n == 0 {
			return nil
		}
		if err := s.conn.Exec(ctx, "KILL QUERY WHERE query_id = "+literal(token)+" SYNC"); err != nil {
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

// Seqs lists the sequences of the rows of a range in order. A sequence that is there twice is listed twice.
func (s *Store) Seqs(ctx context.Context, r schemas.Range) ([]uint64, error) {
	op := fmt.Sprintf("list the sequences of %d–%d of shard %d", r.Lo, r.Hi, r.Shard)
	rows, err := s.conn.Query(ctx, "SELECT seq FROM "+table+" WHERE "+condition(r)+" ORDER BY seq")
	if err != nil {
		return nil, wrap(op, err)
	}
	defer rows.Close()
	var out []uint64
	for rows.Next() {
		var seq uint64
		if err := rows.Scan(&seq); err != nil {
			return nil, wrap(op, err)
		}
		out = append(out, seq)
	}
	return out, wrap(op, rows.Err())
}

// knownChunk is how many identities one look-up asks for: few enough for the bloom filter to leave most granules out
// and for the statement to stay under the server's default bound of 256 KiB.
const knownChunk = 2000

// Known returns which of the identities the rows of a generation already have. Rows of the given shard and epoch from
// sequence before on are left out: they are what the caller is about to decide on, or has stored itself.
func (s *Store) Known(ctx context.Context, generation uint32, epoch string, shard int, before uint64, ids []schemas.EventID) (map[schemas.EventID]struct{}, error) {
	known := make(map[schemas.EventID]struct{})
	for chunk := range slices.Chunk(ids, knownChunk) {
		var q strings.Builder
		fmt.Fprintf(&q, "SELECT DISTINCT event_id FROM %s WHERE generation = %d AND NOT (epoch = %s AND shard = %d AND seq >= %d) AND event_id IN (", table, generation, literal(epoch), shard, before)
		for i, id := range chunk {
			if i > 0 {
				q.WriteByte(',')
			}
			q.WriteByte('\'')
			q.WriteString(id.String())
			q.WriteByte('\'')
		}
		q.WriteByte(')')
		for id, err := range s.ids(ctx, q.String()) {
			if err != nil {
				return nil, wrap(fmt.Sprintf("look up %d identities", len(ids)), err)
			}
			known[id] = struct{}{}
		}
	}
	return known, nil
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

// MaxSeq is the highest sequence stored of a shard in an epoch, 0 if there is none.
func (s *Store) MaxSeq(ctx context.Context, generation uint32, epoch string, shard int) (uint64, error) {
	var seq uint64
	err := s.conn.QueryRow(ctx, fmt.Sprintf("SELECT max(seq) FROM %s WHERE generation = %d AND epoch = %s AND shard = %d",
		table, generation, literal(epoch), shard)).Scan(&seq)
	return seq, wrap("find the last sequence of shard "+strconv.Itoa(shard), err)
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
