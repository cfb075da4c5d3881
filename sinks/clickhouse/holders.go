package clickhouse

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"github.com/earshot/earshot/schemas"
)

// Receipts yields a receipt for every row of a range, in the order of their sequences, as they come; a row that is there
// twice is yielded twice. An error comes last.
func (s *Store) Receipts(ctx context.Context, r schemas.Range) iter.Seq2[schemas.Receipt, error] {
	return func(yield func(schemas.Receipt, error) bool) {
		fail := func(err error) {
			yield(schemas.Receipt{}, wrap(fmt.Sprintf("list the rows of %d–%d of shard %d", r.Lo, r.Hi, r.Shard), err))
		}
		rows, err := s.conn.Query(ctx, "SELECT seq, event_id, toStartOfHour(received_at), channel, kind = "+literal(string(schemas.Erased))+" FROM "+table+" WHERE "+condition(r)+" ORDER BY seq")
		if err != nil {
			fail(err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var out schemas.Receipt
			var id uuid.UUID
			var hour time.Time
			if err := rows.Scan(&out.Seq, &id, &hour, &out.Channel, &out.Erased); err != nil {
				fail(err)
				return
			}
			out.ID, out.Hour = schemas.EventID(id), hour.UTC()
			if !yield(out, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			fail(err)
		}
	}
}

// Holders tells of each identity that rows of the generation have where they are: the lowest sequence in the shard of the
// epoch, and whether there is one anywhere else.
func (s *Store) Holders(ctx context.Context, generation uint32, epoch string, shard int, ids []schemas.EventID) (map[schemas.EventID]schemas.Holder, error) {
	op := fmt.Sprintf("look up who holds %d identities", len(ids))
	out := make(map[schemas.EventID]schemas.Holder, len(ids))
	here := fmt.Sprintf("epoch = %s AND shard = %d", literal(epoch), shard)
	for chunk := range slices.Chunk(ids, knownChunk) {
		asked, list, err := asking(ctx, chunk)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", op, err)
		}
		err = s.each(asked, fmt.Sprintf("SELECT event_id, minIf(seq, %s), countIf(NOT (%s)) > 0 FROM %s WHERE generation = %d AND event_id IN %s GROUP BY event_id",
			here, here, table, generation, list), func(row driver.Rows) error {
			var id uuid.UUID
			var h schemas.Holder
			var elsewhere uint8
			err := row.Scan(&id, &h.Seq, &elsewhere)
			h.Elsewhere = elsewhere != 0
			out[schemas.EventID(id)] = h
			return err
		})
		if err != nil {
			return nil, wrap(op, err)
		}
	}
	return out, nil
}
