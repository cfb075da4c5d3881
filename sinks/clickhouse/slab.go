package clickhouse

import (
	"reflect"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"github.com/earshot/earshot/schemas"
)

// column is one column of the fact table.
type column struct {
	name string
	typ  string // in the table
	fill func(s *slab, rows []schemas.Row, to driver.BatchColumn) error
	// empty is whether a row has nothing for this column; nil: it always has. A column that is empty in every row is left
	// out of the insert: the server fills in what is the same, an empty value or NULL, without having to receive, check and
	// index it. Most events leave most columns empty.
	empty func(r *schemas.Row) bool
}

// slab is the scratch space in which a column's values are lined up before the driver copies them into its block. One
// slab serves all columns of a batch in turn, and the next batch after it: it holds one slice of each type.
type slab struct {
	slices map[reflect.Type]any
}

func newSlab() *slab { return &slab{slices: map[reflect.Type]any{}} }

// borrow returns an empty slice with room for n values; what it held before is void.
func borrow[T any](s *slab, n int) []T {
	list, _ := s.slices[reflect.TypeFor[T]()].([]T)
	if cap(list) < n {
		list = make([]T, 0, n+n/4)
		s.slices[reflect.TypeFor[T]()] = list
	}
	return list[:0]
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
		list := borrow[string](s, len(rows))
		for i := range rows {
			list = append(list, get(&rows[i]))
		}
		return to.Append(list)
	}, func(r *schemas.Row) bool { return get(r) == "" }}
}

// identities is a column of event identities.
func identities(name string, get func(*schemas.Row) schemas.EventID) column {
	return column{name, "UUID", func(s *slab, rows []schemas.Row, to driver.BatchColumn) error {
		list := borrow[uuid.UUID](s, len(rows))
		for i := range rows {
			list = append(list, uuid.UUID(get(&rows[i])))
		}
		return to.Append(list)
	}, nil}
}

// times is a column of times in milliseconds.
func times(name string, get func(*schemas.Row) time.Time) column {
	return column{name, "DateTime64(3, 'UTC')", func(s *slab, rows []schemas.Row, to driver.BatchColumn) error {
		list := borrow[time.Time](s, len(rows))
		for i := range rows {
			list = append(list, get(&rows[i]))
		}
		return to.Append(list)
	}, nil}
}

// optionalTimes is a column of RFC 3339 times, NULL where there is none. The contract has checked them already; what
// cannot be read all the same is NULL.
func optionalTimes(name string, get func(*schemas.Row) string) column {
	return column{name, "Nullable(DateTime64(3, 'UTC'))", func(s *slab, rows []schemas.Row, to driver.BatchColumn) error {
		list := borrow[*time.Time](s, len(rows))
		for i := range rows {
			var ref *time.Time
			if text := get(&rows[i]); text != "" {
				if t, err := time.Parse(time.RFC3339, text); err == nil {
					ref = &t
				}
			}
			list = append(list, ref)
		}
		return to.Append(list)
	}, func(r *schemas.Row) bool { return get(r) == "" }}
}

// numbers is a column of numbers or booleans.
func numbers[T any](name, typ string, get func(*schemas.Row) T) column {
	return column{name, typ, func(s *slab, rows []schemas.Row, to driver.BatchColumn) error {
		list := borrow[T](s, len(rows))
		for i := range rows {
			list = append(list, get(&rows[i]))
		}
		return to.Append(list)
	}, nil}
}

// optionals is a column of numbers, NULL where get says so.
func optionals[T any](name, typ string, get func(*schemas.Row) (T, bool)) column {
	return column{name, "Nullable(" + typ + ")", func(s *slab, rows []schemas.Row, to driver.BatchColumn) error {
		values, refs := borrow[T](s, len(rows))[:len(rows)], borrow[*T](s, len(rows))
		for i := range rows {
			var ref *T
			if v, ok := get(&rows[i]); ok {
				values[i] = v
				ref = &values[i]
			}
			refs = append(refs, ref)
		}
		return to.Append(refs)
	}, func(r *schemas.Row) bool { _, ok := get(r); return !ok }}
}

// pointers is a column of numbers or booleans, NULL where the pointer is nil.
func pointers[T any](name, typ string, get func(*schemas.Row) *T) column {
	return column{name, "Nullable(" + typ + ")", func(s *slab, rows []schemas.Row, to driver.BatchColumn) error {
		refs := borrow[*T](s, len(rows))
		for i := range rows {
			refs = append(refs, get(&rows[i]))
		}
		err := to.Append(refs)
		clear(refs) // the slab must not keep events alive
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
