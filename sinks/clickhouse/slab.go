package clickhouse

import (
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"github.com/earshot/earshot/schemas"
)

// column is one column of the fact table.
type column struct {
	name  string
	typ   string // in the table
	fill  func(s *slab, rows []schemas.Row, to driver.BatchColumn) error
	empty func(r *schemas.Row) bool // whether a row has nothing for this column; nil: it always has
}

// blank reports whether no row has anything for this column. Such a column is left out of the insert: the server fills in
// what is the same, an empty value or NULL, without having to receive, check and index it. Most events leave most columns
// blank.
func (c *column) blank(rows []schemas.Row) bool {
	if c.empty == nil {
		return false
	}
	for i := range rows {
		if !c.empty(&rows[i]) {
			return false
		}
	}
	return true
}

// slab is the scratch space in which a column's values are lined up before the driver copies them into its block. One
// slab serves all columns of a batch in turn, and the next batch after it.
type slab struct {
	strings  []string
	ids      []uuid.UUID
	times    []time.Time
	timeRefs []*time.Time
	float32s slabOf[float32]
	float64s slabOf[float64]
	int8s    slabOf[int8]
	bools    slabOf[bool]
	uint16s  slabOf[uint16]
	uint32s  slabOf[uint32]
	uint64s  slabOf[uint64]
}

// slabOf holds values, and pointers to them where a value can be absent.
type slabOf[T any] struct {
	values []T
	refs   []*T
}

// of picks the part of the slab that holds values of type T.
func of[T any](s *slab) *slabOf[T] {
	for _, part := range [...]any{&s.float32s, &s.float64s, &s.int8s, &s.bools, &s.uint16s, &s.uint32s, &s.uint64s} {
		if p, ok := part.(*slabOf[T]); ok {
			return p
		}
	}
	return new(slabOf[T])
}

// words is a column of few different strings.
func words(name string, get func(*schemas.Row) string) column {
	c := texts(name, get)
	c.typ = "LowCardinality(String)"
	return c
}

// texts is a column of strings.
func texts(name string, get func(*schemas.Row) string) column {
	return column{name, "String", func(s *slab, rows []schemas.Row, to driver.BatchColumn) error {
		s.strings = s.strings[:0]
		for i := range rows {
			s.strings = append(s.strings, get(&rows[i]))
		}
		return to.Append(s.strings)
	}, func(r *schemas.Row) bool { return get(r) == "" }}
}

// identities is a column of event identities.
func identities(name string, get func(*schemas.Row) schemas.EventID) column {
	return column{name, "UUID", func(s *slab, rows []schemas.Row, to driver.BatchColumn) error {
		s.ids = s.ids[:0]
		for i := range rows {
			s.ids = append(s.ids, uuid.UUID(get(&rows[i])))
		}
		return to.Append(s.ids)
	}, nil}
}

// times is a column of times in milliseconds.
func times(name string, get func(*schemas.Row) time.Time) column {
	return column{name, "DateTime64(3, 'UTC')", func(s *slab, rows []schemas.Row, to driver.BatchColumn) error {
		s.times = s.times[:0]
		for i := range rows {
			s.times = append(s.times, get(&rows[i]))
		}
		return to.Append(s.times)
	}, nil}
}

// optionalTimes is a column of RFC 3339 times, NULL where there is none. The contract has checked them already; what
// cannot be read all the same is NULL.
func optionalTimes(name string, get func(*schemas.Row) string) column {
	return column{name, "Nullable(DateTime64(3, 'UTC'))", func(s *slab, rows []schemas.Row, to driver.BatchColumn) error {
		s.timeRefs = s.timeRefs[:0]
		for i := range rows {
			var ref *time.Time
			if text := get(&rows[i]); text != "" {
				if t, err := time.Parse(time.RFC3339, text); err == nil {
					ref = &t
				}
			}
			s.timeRefs = append(s.timeRefs, ref)
		}
		return to.Append(s.timeRefs)
	}, func(r *schemas.Row) bool { return get(r) == "" }}
}

// numbers is a column of numbers or booleans.
func numbers[T any](name, typ string, get func(*schemas.Row) T) column {
	return column{name, typ, func(s *slab, rows []schemas.Row, to driver.BatchColumn) error {
		p := of[T](s)
		p.values = p.values[:0]
		for i := range rows {
			p.values = append(p.values, get(&rows[i]))
		}
		return to.Append(p.values)
	}, nil}
}

// optionals is a column of numbers, NULL where get says so.
func optionals[T any](name, typ string, get func(*schemas.Row) (T, bool)) column {
	return column{name, "Nullable(" + typ + ")", func(s *slab, rows []schemas.Row, to driver.BatchColumn) error {
		p := of[T](s)
		if cap(p.values) < len(rows) { // the pointers below must not move
			p.values = make([]T, 0, len(rows)+len(rows)/4)
		}
		p.values, p.refs = p.values[:len(rows)], p.refs[:0]
		for i := range rows {
			var ref *T
			if v, ok := get(&rows[i]); ok {
				p.values[i] = v
				ref = &p.values[i]
			}
			p.refs = append(p.refs, ref)
		}
		return to.Append(p.refs)
	}, func(r *schemas.Row) bool { _, ok := get(r); return !ok }}
}

// pointers is a column of numbers or booleans, NULL where the pointer is nil.
func pointers[T any](name, typ string, get func(*schemas.Row) *T) column {
	return column{name, "Nullable(" + typ + ")", func(s *slab, rows []schemas.Row, to driver.BatchColumn) error {
		p := of[T](s)
		p.refs = p.refs[:0]
		for i := range rows {
			p.refs = append(p.refs, get(&rows[i]))
		}
		err := to.Append(p.refs)
		clear(p.refs) // the slab must not keep events alive
		return err
	}, func(r *schemas.Row) bool { return get(r) == nil }}
}

// judged is a number that the classifier gives a text, NULL where there was no text to judge.
func judged(name string, get func(*schemas.Labels) float32) column {
	return optionals(name, "Float32", func(r *schemas.Row) (float32, bool) {
		return get(&r.Labels), r.Labels.Polarity != ""
	})
}

// scores is a score, NULL where it is absent.
func scores(name string, get func(*schemas.Scores) schemas.Score) column {
	return optionals(name, "Float32", func(r *schemas.Row) (float32, bool) {
		x := get(&r.Scores)
		return x.Value, x.Valid
	})
}

// lists is a column of arrays of strings.
func lists(name, typ string, get func(*schemas.Row) []string) column {
	return column{name, "Array(" + typ + ")", func(_ *slab, rows []schemas.Row, to driver.BatchColumn) error {
		for i := range rows {
			if err := to.AppendRow(get(&rows[i])); err != nil {
				return err
			}
		}
		return nil
	}, func(r *schemas.Row) bool { return len(get(r)) == 0 }}
}

// mentions is a column of arrays, one position for each mention of the text.
func mentions[T any](name, typ string, get func(*schemas.Mention) T) column {
	return column{name, "Array(" + typ + ")", func(_ *slab, rows []schemas.Row, to driver.BatchColumn) error {
		var list []T
		for i := range rows {
			list = list[:0]
			for j := range rows[i].Labels.Mentions {
				list = append(list, get(&rows[i].Labels.Mentions[j]))
			}
			if err := to.AppendRow(list); err != nil {
				return err
			}
		}
		return nil
	}, func(r *schemas.Row) bool { return len(r.Labels.Mentions) == 0 }}
}
