package clickhouse_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
	"github.com/earshot/earshot/sinks/clickhouse/engine/enginetest"
)

// BenchmarkRowsThatDoNotCount tells what it costs that changed and erased rows stay in the table: a figure over half a
// million rows in four months, with and without the condition by which the view leaves them out, and with one that the
// projection could not answer; and marking ten rows, or emptying them, in one of the months.
func BenchmarkRowsThatDoNotCount(b *testing.B) {
	const total, part = 500_000, 50_000
	s := connect(b, clickhouse.Config{DSN: enginetest.Start(b)})
	if _, err := s.Migrate(b.Context(), clickhouse.MigrateOptions{}); err != nil {
		b.Fatal(err)
	}
	rows := generate(1, part, 1)
	for lo := range total / part {
		month := start.AddDate(0, -lo%4, 0)
		for i := range rows {
			r := &rows[i]
			r.Seq = uint64(lo*part + i + 1)
			r.Event.Time = time.Date(month.Year(), month.Month(), 1+lo%4*7, 0, 0, 0, i*10_000_000, time.UTC)
			r.ReceivedAt = r.Event.Time
			r.ID = schemas.Identify(r.Event.Tenant, r.Event.Source, fmt.Sprint(r.Seq))
		}
		insert(b, s, rows)
	}
	const figure = "SELECT channel, count(), sum(toFloat64(score)), count(csat), countIf(csat = 1) FROM feedback WHERE generation = 1 AND actor_kind = 'customer'%s GROUP BY channel"
	for name, condition := range map[string]string{
		"figure/all":              "",
		"figure/by_kind":          " AND kind NOT IN ('superseded', 'erased', 'feedback.deleted')",
		"figure/by_list_of_names": " AND event_id NOT IN (SELECT event_id FROM feedback WHERE kind = 'superseded')",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := s.Query(b.Context(), fmt.Sprintf(figure, condition), nil, "Null", io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	at := uint64(0)
	some := func() (out []schemas.Trace) {
		for range 10 {
			at += 17
			out = append(out, schemas.Trace{Epoch: rows[0].Epoch, Shard: int(rows[0].Shard), Seq: at})
		}
		return out
	}
	b.Run("supersede", func(b *testing.B) {
		for b.Loop() {
			if err := s.Supersede(b.Context(), some()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("blank", func(b *testing.B) {
		for b.Loop() {
			if err := s.Blank(b.Context(), some()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
