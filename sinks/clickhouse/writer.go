package clickhouse

import (
	"context"
	"fmt"
	"slices"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/schemas/sql"
)

// table is the fact table.
const table = "feedback"

// probeTable has the fact table's columns and keeps nothing.
const probeTable = "feedback_probe"

// Insert writes rows as one insert of one block: one partition, one part, there as a whole or not at all. The token is
// both its deduplication token, which makes a repetition harmless as long as the server remembers it, and its query id,
// by which [Store.Kill] finds it. An error that is not permanent leaves open whether the rows are stored: read back.
//
// The rows must be of one generation and one month; others are refused, since they would be stored in two steps. An empty
// insert does nothing.
func (s *Store) Insert(ctx context.Context, rows []schemas.Row, token string) error {
	if len(rows) == 0 {
		return nil
	}
	op := fmt.Sprintf("insert %d rows as %s", len(rows), token)
	if token == "" {
		return refuse(op, "an insert needs a token")
	}
	if err := onePartition(rows); err != nil {
		return refuse(op, "%w", err)
	}
	return s.send(ctx, op, table, rows, ch.WithQueryID(token), ch.WithSettings(s.insertSettings(token)))
}

// Probe says whether the table would take the rows, without writing them: they go to a table of the same columns and
// constraints that keeps nothing. A permanent error means that at least one of them is refused.
func (s *Store) Probe(ctx context.Context, rows []schemas.Row) error {
	if len(rows) == 0 {
		return nil
	}
	op := fmt.Sprintf("probe %d rows", len(rows))
	if err := s.exec(ctx, sql.Probe().SQL, nil); err != nil {
		return wrap(op, err)
	}
	return s.send(ctx, op, probeTable, rows, ch.WithSettings(ch.Settings{
		"async_insert": 0, "input_format_native_allow_types_conversion": 1, "max_execution_time": int(s.cfg.InsertTimeout.Seconds()),
	}))
}

// fillRows is how many rows are laid into their columns at a time: few enough to stay in the processor's cache while one
// column after the other takes its part, since a row with its event has about 2 KiB.
const fillRows = 256

// send writes the rows to a table as one insert.
func (s *Store) send(ctx context.Context, op, into string, rows []schemas.Row, options ...ch.QueryOption) error {
	cols := used(rows)
	batch, err := s.conn.PrepareBatch(ch.Context(ctx, append(options, ch.WithColumnNamesAndTypes(wire(cols)))...), insertStatement(into, cols))
	if err != nil {
		return wrap(op, err)
	}
	defer batch.Close() // gives the connection back when filling fails; after Send it does nothing
	own := s.slabs.Get().(*slab)
	defer s.slabs.Put(own)
	for some := range slices.Chunk(rows, fillRows) {
		for i, c := range cols {
			if err := c.fill(own, some, batch.Column(i)); err != nil {
				return wrap(op, fmt.Errorf("column %s: %w: %w", c.name, ch.ErrBatchInvalid, err))
			}
		}
	}
	return wrapInsert(op, batch.Send())
}

// insertSettings are given with every insert, so that no profile of the server can change what an insert means.
func (s *Store) insertSettings(token string) ch.Settings {
	return ch.Settings{
		"async_insert":               0, // the server must not regroup what the plan has cut
		"insert_deduplicate":         1,
		"insert_deduplication_token": token,
		"max_insert_threads":         1, // one thread, one part
		"max_execution_time":         int(s.cfg.InsertTimeout.Seconds()),
		// Two partitions would be two renames: refuse.
		"max_partitions_per_insert_block":            1,
		"throw_on_max_partitions_per_insert_block":   1,
		"input_format_native_allow_types_conversion": 1, // see wire
		// A part must hold the whole batch: the block is never cut before it has a million rows or a gigabyte.
		"min_insert_block_size_rows":  1_048_449,
		"min_insert_block_size_bytes": 1 << 30,
	}
}

// onePartition says what keeps the rows from being one part.
func onePartition(rows []schemas.Row) error {
	generation, year, month := rows[0].Generation, rows[0].Event.Time.UTC().Year(), rows[0].Event.Time.UTC().Month()
	for i := range rows {
		r := &rows[i]
		t := r.Event.Time.UTC()
		if r.Generation != generation || t.Year() != year || t.Month() != month {
			return fmt.Errorf("row %d is of generation %d and %s, the first of generation %d and %d-%02d: insert each month of each generation by itself",
				i, r.Generation, t.Format("2006-01"), generation, year, month)
		}
	}
	return nil
}
