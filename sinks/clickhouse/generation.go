package clickhouse

import (
	"context"
	"fmt"
	"regexp"
	"strconv"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/schemas/sql"
)

// States of a generation, as the table generations has them.
const (
	StateBuilding = "building" // its rows are being brought in
	StateLive     = "live"     // the views show it
	StateRetired  = "retired"  // it was live and can be again
	StateDropped  = "dropped"  // its rows are gone
)

// currentView is the view that shows the live generation; all others read it.
const currentView = "feedback_current"

// unknownTable is the server's code for a table that is not there.
const unknownTable = 60

// Live is the generation that is recorded as live: that of the newest record, 1 where there is none.
func (s *Store) Live(ctx context.Context) (uint32, error) {
	var generation uint32
	err := s.conn.QueryRow(ctx, "SELECT argMaxIf(generation, change, state = 'live') FROM generations").Scan(&generation)
	if code(err) == unknownTable {
		return 1, nil
	}
	return max(generation, 1), wrap("find the live generation", err)
}

// shownPattern finds the generation in the statement of feedback_current as the server keeps it.
var shownPattern = regexp.MustCompile(`generation = (\d+)`)

// Shown is the generation that the views show; 0 where there are no views.
func (s *Store) Shown(ctx context.Context) (uint32, error) {
	const op = "find the generation that the views show"
	rows, err := s.conn.Query(ctx, "SELECT create_table_query FROM system.tables WHERE database = "+literal(s.database)+" AND name = "+literal(currentView))
	if err != nil {
		return 0, wrap(op, err)
	}
	defer rows.Close()
	generation := uint64(0)
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return 0, wrap(op, err)
		}
		m := shownPattern.FindStringSubmatch(text)
		if m == nil {
			return 0, refuse(op, "the view feedback_current was replaced by another: drop it and migrate again")
		}
		if generation, err = strconv.ParseUint(m[1], 10, 32); err != nil {
			return 0, refuse(op, "%w", err)
		}
	}
	return uint32(generation), wrap(op, rows.Err())
}

// SetLive makes the views show another generation, in one step: every reader sees all of the old labels or all of the
// new ones. The rows of both stay where they are. It is recorded first, so that a migration that is run when this was cut
// off creates the view as this would have. Setting what is set changes nothing.
func (s *Store) SetLive(ctx context.Context, generation uint32) error {
	op := fmt.Sprintf("set the live generation to %d", generation)
	if generation == 0 {
		return refuse(op, "generations count from 1")
	}
	was, err := s.Live(ctx)
	if err != nil {
		return err
	}
	if was != generation {
		if err := s.note(ctx, op, record{was, StateRetired, ""}, record{generation, StateLive, ""}); err != nil {
			return err
		}
	}
	shown, err := s.Shown(ctx)
	if err != nil || shown == generation {
		return err
	}
	return wrap(op, s.exec(ctx, sql.Live(generation), nil))
}

// Note records the state of a generation; for [StateLive] use [Store.SetLive].
func (s *Store) Note(ctx context.Context, generation uint32, state, model string) error {
	return s.note(ctx, fmt.Sprintf("record that generation %d is %s", generation, state), record{generation, state, model})
}

// record is one row of the table generations.
type record struct {
	generation   uint32
	state, model string
}

// note adds records in one insert, hence one part: all of them or none. A record without a model has the one that the
// generation was built with.
func (s *Store) note(ctx context.Context, op string, records ...record) error {
	var last uint64
	if err := s.conn.QueryRow(ctx, "SELECT max(change) FROM generations").Scan(&last); err != nil {
		return wrap(op, err)
	}
	statement := "INSERT INTO generations (change, generation, state, model) VALUES "
	for i, r := range records {
		if r.model == "" {
			if err := s.conn.QueryRow(ctx, fmt.Sprintf("SELECT argMax(model, change) FROM generations WHERE generation = %d", r.generation)).Scan(&r.model); err != nil {
				return wrap(op, err)
			}
		}
		if i > 0 {
			statement += ", "
		}
		statement += fmt.Sprintf("(%d, %d, %s, %s)", last+uint64(i)+1, r.generation, literal(r.state), literal(r.model))
	}
	return wrap(op, s.exec(ctx, statement, recordSettings()))
}

// Generations lists the generations of which there are rows, in order.
func (s *Store) Generations(ctx context.Context) ([]uint32, error) {
	const op = "list the generations"
	rows, err := s.conn.Query(ctx, "SELECT DISTINCT toUInt32(splitByChar('-', partition_id)[1]) AS generation FROM system.parts WHERE active AND rows > 0 AND database = "+
		literal(s.database)+" AND table = "+literal(table)+" ORDER BY generation")
	if err != nil {
		return nil, wrap(op, err)
	}
	defer rows.Close()
	var out []uint32
	for rows.Next() {
		var g uint32
		if err := rows.Scan(&g); err != nil {
			return nil, wrap(op, err)
		}
		out = append(out, g)
	}
	return out, wrap(op, rows.Err())
}

// Drop drops the partitions of a generation, one after the other. What was dropped when it is cut off stays so.
func (s *Store) Drop(ctx context.Context, generation uint32) error {
	op := fmt.Sprintf("drop generation %d", generation)
	rows, err := s.conn.Query(ctx, "SELECT DISTINCT partition_id FROM system.parts WHERE active AND database = "+literal(s.database)+
		" AND table = "+literal(table)+" AND startsWith(partition_id, "+literal(fmt.Sprint(generation, "-"))+") ORDER BY partition_id")
	if err != nil {
		return wrap(op, err)
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return wrap(op, err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return wrap(op, err)
	}
	for _, id := range ids {
		if err := s.exec(ctx, "ALTER TABLE "+table+" DROP PARTITION ID "+literal(id), nil); err != nil {
			return wrap(op, err)
		}
	}
	return nil
}

// Delete removes the rows of a range and returns when nobody sees them any more. What they were counted in (projections)
// is made again.
func (s *Store) Delete(ctx context.Context, r schemas.Range) error {
	return wrap(fmt.Sprintf("delete the rows %d–%d of shard %d", r.Lo, r.Hi, r.Shard),
		s.exec(ctx, "DELETE FROM "+table+" WHERE "+condition(r), ch.Settings{"lightweight_deletes_sync": 2}))
}
