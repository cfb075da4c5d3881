package clickhouse

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/schemas/sql"
)

// Tally counts the rows of a range and how many different sequences they have, and finds the highest sequence that the
// shard has in any place, 0 if it has none: all three in one look at the table, so that they belong together. An empty
// range (Hi below Lo) counts nothing.
//
// The sequences are counted in a bitmap, which takes a bit or two for each where they are dense, and is exact.
func (s *Store) Tally(ctx context.Context, r schemas.Range) (rows, distinct, top uint64, err error) {
	inside := fmt.Sprintf("seq BETWEEN %d AND %d", r.Lo, r.Hi)
	err = s.conn.QueryRow(ctx, fmt.Sprintf("SELECT countIf(%s), groupBitmapIf(seq, %s), max(seq) FROM %s WHERE generation = %d AND epoch = %s AND shard = %d AND seq >= %d",
		inside, inside, table, r.Generation, literal(r.Epoch), r.Shard, r.Lo)).Scan(&rows, &distinct, &top)
	return rows, distinct, top, wrap(fmt.Sprintf("count the rows of %d–%d of shard %d", r.Lo, r.Hi, r.Shard), err)
}

// repeatsPass is how many rows' identities are held in memory at a time while repeats are counted: about 1 GiB.
const repeatsPass = 20_000_000

// Repeats counts the sequences of a generation, of any shard and epoch, whose event another sequence has already: events
// that were stored more than once. It is exact, and goes over the table once for every 20 million
// rows.
func (s *Store) Repeats(ctx context.Context, generation uint32) (n uint64, err error) {
	op := fmt.Sprintf("count the repeated events of generation %d", generation)
	var rows uint64
	if err := s.conn.QueryRow(ctx, fmt.Sprintf("SELECT count() FROM %s WHERE generation = %d", table, generation)).Scan(&rows); err != nil {
		return 0, wrap(op, err)
	}
	count := func(what string) (n uint64, err error) {
		passes := 1 + rows/repeatsPass
		for pass := range passes {
			var some uint64
			if err := s.conn.QueryRow(ctx, fmt.Sprintf("SELECT toUInt64(%s - uniqExact(event_id)) FROM %s WHERE generation = %d AND sipHash64(event_id) %% %d = %d",
				what, table, generation, passes, pass)).Scan(&some); err != nil {
				return 0, wrap(op, err)
			}
			n += some
		}
		return n, nil
	}
	if n, err = count("count()"); n == 0 || err != nil {
		return 0, err
	}
	return count("uniqExact(epoch, shard, seq)") // rows that are doubled are another matter
}

// absentChunk is how many sequences one look for gaps covers: 8 MiB of them are sorted at a time.
const absentChunk = 1 << 20

// Absent yields, in order, the runs of sequences of a range that have no row; an error comes last. It first counts by
// chunks, so that where nothing is absent nothing is listed.
func (s *Store) Absent(ctx context.Context, r schemas.Range) iter.Seq2[schemas.Range, error] {
	return func(yield func(schemas.Range, error) bool) {
		var run schemas.Range // not yet yielded: it may go on in the next chunk
		out := func(lo, hi uint64) bool {
			if run.Hi != 0 && run.Hi+1 == lo {
				run.Hi = hi
				return true
			}
			former := run
			run = r
			run.Lo, run.Hi = lo, hi
			return former.Hi == 0 || yield(former, nil)
		}
		full, err := s.chunks(ctx, r)
		for n, lo := uint64(0), r.Lo; err == nil && lo <= r.Hi; n, lo = n+1, lo+absentChunk {
			hi := min(lo+absentChunk-1, r.Hi)
			switch full[n] {
			case hi - lo + 1:
			case 0:
				if !out(lo, hi) {
					return
				}
			default:
				c := r
				c.Lo, c.Hi = lo, hi
				var gaps [][2]uint64
				gaps, err = s.gaps(ctx, c)
				for _, g := range gaps {
					if !out(g[0], g[1]) {
						return
					}
				}
			}
		}
		if err != nil {
			yield(schemas.Range{}, wrap(fmt.Sprintf("look for rows missing from %d–%d of shard %d", r.Lo, r.Hi, r.Shard), err))
		} else if run.Hi != 0 {
			yield(run, nil)
		}
	}
}

// chunks counts the different sequences of each chunk of a range.
func (s *Store) chunks(ctx context.Context, r schemas.Range) (map[uint64]uint64, error) {
	full := map[uint64]uint64{}
	err := s.each(ctx, fmt.Sprintf("SELECT toUInt64(intDiv(seq - %d, %d)) AS chunk, groupBitmap(seq) FROM %s WHERE %s GROUP BY chunk", r.Lo, absentChunk, table, condition(r)),
		func(row driver.Rows) error {
			var chunk, n uint64
			err := row.Scan(&chunk, &n)
			full[chunk] = n
			return err
		})
	return full, err
}

// gaps lists the first and last of each run of absent sequences in a chunk. A sequence behind the chunk stands in for a
// row, so that what is absent at the end is found like the rest.
func (s *Store) gaps(ctx context.Context, r schemas.Range) (out [][2]uint64, err error) {
	err = s.each(ctx, fmt.Sprintf(`SELECT toUInt64(before + 1), toUInt64(seq - 1)
FROM (SELECT seq, lagInFrame(seq, 1, toUInt64(%d)) OVER (ORDER BY seq ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before
    FROM (SELECT DISTINCT seq FROM %s WHERE %s UNION ALL SELECT toUInt64(%d)))
WHERE seq > before + 1 ORDER BY seq`, r.Lo-1, table, condition(r), r.Hi+1),
		func(row driver.Rows) error {
			var gap [2]uint64
			err := row.Scan(&gap[0], &gap[1])
			out = append(out, gap)
			return err
		})
	return out, err
}

// each runs a query and hands over its rows one by one.
func (s *Store) each(ctx context.Context, query string, row func(driver.Rows) error) error {
	rows, err := s.conn.Query(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// guards are the settings of the fact table on which what is acknowledged depends, and what each is for.
func guards() []struct{ name, why string } {
	const sync, merge = "what was acknowledged can be lost in a power cut", "a merge can lose old rows in a power cut"
	return []struct{ name, why string }{
		{"fsync_after_insert", sync},
		{"fsync_part_directory", sync},
		{"min_rows_to_fsync_after_merge", merge},
		{"min_compressed_bytes_to_fsync_after_merge", merge},
		{window, "an insert that is repeated can be stored twice"},
		{"lightweight_mutation_projection_mode", "the projection can be lost, or the statement refused, when rows are deleted"},
	}
}

// window is how many inserts the table remembers; a Replicated table has a setting of its own.
const window = "non_replicated_deduplication_window"

// CheckTable holds the fact table of the connected server against the statement by which this program creates it, and
// says what is weaker there: the settings that keep rows safe, and the projection. A table made by hand or restored from
// elsewhere may lack them. What the table does not set itself counts as the server has it.
func (s *Store) CheckTable(ctx context.Context) ([]string, error) {
	const op = "check the settings of the table"
	var engine, full string
	if err := s.conn.QueryRow(ctx, "SELECT engine, engine_full FROM system.tables WHERE database = "+literal(s.database)+" AND name = "+literal(table)).Scan(&engine, &full); err != nil {
		return nil, wrap(op, err)
	}
	_, clause, _ := strings.Cut(full, " SETTINGS ")
	have, want := sql.ParseSettings(clause), sql.Settings()
	var out []string
	for _, g := range guards() {
		name := g.name
		if name == window && strings.HasPrefix(engine, "Replicated") {
			name = "replicated_deduplication_window"
		}
		found, given := have[name]
		if !given {
			if err := s.conn.QueryRow(ctx, "SELECT any(value) FROM system.merge_tree_settings WHERE name = "+literal(name)).Scan(&found); err != nil {
				return nil, wrap(op, err)
			}
		}
		if !holdsSetting(g.name, found, want[g.name]) {
			out = append(out, fmt.Sprintf("the table %s has %s = %s instead of %s: %s; run ALTER TABLE %s MODIFY SETTING %s = %s",
				table, name, defaulted(found, "(none)"), want[g.name], g.why, table, name, quoted(want[g.name])))
		}
	}
	var projections uint64
	if err := s.conn.QueryRow(ctx, "SELECT count() FROM system.projections WHERE database = "+literal(s.database)+" AND table = "+literal(table)+" AND name = "+literal(sql.ProjectionName)).Scan(&projections); err != nil {
		return nil, wrap(op, err)
	}
	if projections == 0 {
		out = append(out, fmt.Sprintf("the table %s has no projection %s: figures are right but slow; add it with ALTER TABLE as schemas/sql/tables/feedback.sql has it, and materialize it", table, sql.ProjectionName))
	}
	return out, nil
}

// holdsSetting says whether a setting is as strong as wanted: a window at least as long, anything else the same.
func holdsSetting(name, have, want string) bool {
	if name == window {
		h, err := strconv.ParseUint(have, 10, 64)
		w, _ := strconv.ParseUint(want, 10, 64)
		return err == nil && h >= w
	}
	return have == want
}

// quoted is a setting's value as a statement has it.
func quoted(v string) string {
	if _, err := strconv.ParseUint(v, 10, 64); err == nil {
		return v
	}
	return literal(v)
}

// HourAt is the hour of one row of the range, whichever is found first. false: the range has no row.
func (s *Store) HourAt(ctx context.Context, r schemas.Range) (hour time.Time, found bool, err error) {
	err = s.each(ctx, "SELECT toStartOfHour(occurred_at) FROM "+table+" WHERE "+condition(r)+" LIMIT 1", func(row driver.Rows) error {
		found = true
		return row.Scan(&hour)
	})
	return hour.UTC(), found, wrap(fmt.Sprintf("find an hour in %d–%d of shard %d", r.Lo, r.Hi, r.Shard), err)
}
