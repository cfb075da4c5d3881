package clickhouse

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/earshot/earshot/schemas/sql"
)

// projectionNotUsed is the server's code for a query that was to read a projection and cannot.
const projectionNotUsed = 584

// figures asks for all that the projection keeps, and folds each group of it to a hash of its key and a hash of the whole.
// where narrows the hours, by expressions of the projection's keys only.
func figures(generation uint32, where string) string {
	selects, keys := sql.Projection()
	return fmt.Sprintf("SELECT cityHash64(tuple(generation, tenant, `toStartOfHour(occurred_at)`, channel, kind, actor_kind)) AS k, cityHash64(tuple(*)) AS v, toUnixTimestamp(`toStartOfHour(occurred_at)`) AS h FROM (%s FROM %s WHERE generation = %d AND %s GROUP BY %s)",
		selects, table, generation, where, keys)
}

// fromRows has a query of [figures] answered from the rows.
func fromRows(ctx context.Context) context.Context {
	return ch.Context(ctx, ch.WithSettings(ch.Settings{"optimize_use_projections": 0}))
}

// fromProjection has a query of [figures] answered from the projection and from nothing else.
func fromProjection(ctx context.Context) context.Context {
	return ch.Context(ctx, ch.WithSettings(ch.Settings{
		"optimize_use_projections": 1, "force_optimize_projection": 1, "force_optimize_projection_name": sql.ProjectionName,
	}))
}

// CompareHour holds the projection against the rows for one hour of a generation: how many groups of figures the hour
// has, and how many of them differ or are on one side only.
//
// Rows may arrive between the two questions. The projection is therefore asked again after the rows when the two differ:
// only if it has not moved meanwhile is the difference one. An hour that keeps moving is asked about some times and then
// taken for equal; its turn comes again.
func (s *Store) CompareHour(ctx context.Context, generation uint32, hour time.Time) (groups, differences int, err error) {
	const tries = 5
	op := fmt.Sprintf("compare the projection with the rows of %s", hour.UTC().Format(time.RFC3339))
	query := figures(generation, fmt.Sprintf("toStartOfHour(occurred_at) = toDateTime(%d, 'UTC')", hour.Unix()))
	projected, err := s.groups(fromProjection(ctx), query)
	for try := 0; err == nil && try < tries; try++ {
		rows, failure := s.groups(fromRows(ctx), query)
		if failure != nil {
			return 0, 0, wrap(op, failure)
		}
		if maps.Equal(rows, projected) {
			return len(rows), 0, nil
		}
		again, failure := s.groups(fromProjection(ctx), query)
		switch {
		case failure != nil:
			err = failure
		case maps.Equal(again, rows):
			return len(rows), 0, nil
		case maps.Equal(again, projected):
			return len(rows), differing(rows, projected), nil
		}
		projected = again
	}
	if code(err) == projectionNotUsed {
		return 0, 0, refuse(op, "the server does not read the projection %s: %w", sql.ProjectionName, err)
	}
	return len(projected), 0, wrap(op, err)
}

// differing counts the keys whose values are not the same on both sides.
func differing(a, b map[uint64]uint64) (n int) {
	for k, v := range a {
		if w, ok := b[k]; !ok || w != v {
			n++
		}
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			n++
		}
	}
	return n
}

// groups runs a query of [figures] and maps keys to figures.
func (s *Store) groups(ctx context.Context, query string) (map[uint64]uint64, error) {
	out := map[uint64]uint64{}
	err := s.each(ctx, "SELECT k, v FROM ("+query+")", func(row driver.Rows) error {
		var k, v uint64
		err := row.Scan(&k, &v)
		out[k] = v
		return err
	})
	return out, err
}

// SuspectHours holds the projection against the rows for all hours of a generation, month by month, and returns how many
// hours there are and those that did not agree. Rows may arrive meanwhile, so an hour that is returned is to be looked at
// by [Store.CompareHour].
func (s *Store) SuspectHours(ctx context.Context, generation uint32) (hours int, suspects []time.Time, err error) {
	const op = "compare the projection with the rows"
	months, err := s.months(ctx, generation)
	if err != nil {
		return 0, nil, wrap(op, err)
	}
	for _, month := range months {
		query := figures(generation, fmt.Sprintf("toYYYYMM(toStartOfHour(occurred_at)) = %d", month))
		projected, err := s.hours(fromProjection(ctx), query)
		if code(err) == projectionNotUsed {
			return 0, nil, refuse(op, "the server does not read the projection %s: %w", sql.ProjectionName, err)
		} else if err != nil {
			return 0, nil, wrap(op, err)
		}
		rows, err := s.hours(fromRows(ctx), query)
		if err != nil {
			return 0, nil, wrap(op, err)
		}
		hours += len(rows)
		for _, h := range slices.Sorted(maps.Keys(merged(rows, projected))) {
			if rows[h] != projected[h] {
				suspects = append(suspects, time.Unix(h, 0).UTC())
			}
		}
	}
	return hours, suspects, nil
}

func merged(a, b map[int64]uint64) map[int64]uint64 {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// months lists the months of a generation that hold rows, as yyyymm.
func (s *Store) months(ctx context.Context, generation uint32) (out []uint32, err error) {
	err = s.each(ctx, fmt.Sprintf("SELECT DISTINCT toYYYYMM(occurred_at) AS month FROM %s WHERE generation = %d ORDER BY month", table, generation),
		func(row driver.Rows) error {
			var month uint32
			err := row.Scan(&month)
			out = append(out, month)
			return err
		})
	return out, err
}

// hours folds a query of [figures] to one hash for each hour.
func (s *Store) hours(ctx context.Context, query string) (map[int64]uint64, error) {
	out := map[int64]uint64{}
	err := s.each(ctx, "SELECT h, sum(v) FROM ("+query+") GROUP BY h", func(row driver.Rows) error {
		var hour uint32
		var sum uint64
		err := row.Scan(&hour, &sum)
		out[int64(hour)] = sum
		return err
	})
	return out, err
}
