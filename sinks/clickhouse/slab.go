package clickhouse

import (
	"reflect"
	"slices"
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
	// read makes what takes the column's values one row after the other.
	read func() cell
}

// cell takes a value of one column from the driver and puts it into a row.
type cell struct {
	dest any // what the driver scans into
	put  func(r *schemas.Row)
}

// reads makes the read function of a column whose values come as T.
func reads[T any](put func(*schemas.Row, T)) func() cell {
	return func() cell {
		dest := new(T)
		return cell{dest, func(r *schemas.Row) { put(r, *dest) }}
	}
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

// text is what a column of strings holds.
type text interface{ ~string | ~[]byte }

// words is a column of few different strings.
func words[T text](name string, at func(*schemas.Row) *T) column {
	c := texts(name, at)
	c.typ = "LowCardinality(String)"
	return c
}

// usually is a column of words in which what is not given is stored as its default.
func usually(name, otherwise string, at func(*schemas.Row) *string) column {
	c := words(name, at)
	c.fill = filler(func(r *schemas.Row) string {
		if s := *at(r); s != "" {
			return s
		}
		return otherwise
	})
	c.empty = nil
	return c
}

// texts is a column of strings.
func texts[T text](name string, at func(*schemas.Row) *T) column {
	return column{name, "String",
		filler(func(r *schemas.Row) string { return string(*at(r)) }),
		func(r *schemas.Row) bool { return len(*at(r)) == 0 },
		reads(func(r *schemas.Row, s string) {
			if s != "" { // what is absent stays nil
				*at(r) = T(s)
			}
		}),
	}
}

// filler appends a value of each row.
func filler[T any](get func(*schemas.Row) T) func(*slab, []schemas.Row, driver.BatchColumn) error {
	return func(s *slab, rows []schemas.Row, to driver.BatchColumn) error {
		list := borrow[T](s, len(rows))
		for i := range rows {
			list = append(list, get(&rows[i]))
		}
		return to.Append(list)
	}
}

// pairs is a column of words by name, which hardly any row has.
func pairs(name string, at func(*schemas.Row) *map[string]string) column {
	return column{name, "Map(String, String)",
		filler(func(r *schemas.Row) map[string]string { return *at(r) }),
		func(r *schemas.Row) bool { return len(*at(r)) == 0 },
		reads(func(r *schemas.Row, m map[string]string) {
			if len(m) > 0 { // what is absent stays nil
				*at(r) = m
			}
		}),
	}
}

// identities is a column of event identities.
func identities(name string, at func(*schemas.Row) *schemas.EventID) column {
	return column{name, "UUID",
		filler(func(r *schemas.Row) uuid.UUID { return uuid.UUID(*at(r)) }), nil,
		reads(func(r *schemas.Row, id uuid.UUID) { *at(r) = schemas.EventID(id) }),
	}
}

// times is a column of times in milliseconds.
func times(name string, at func(*schemas.Row) *time.Time) column {
	return column{name, "DateTime64(3, 'UTC')",
		filler(func(r *schemas.Row) time.Time { return *at(r) }), nil,
		reads(func(r *schemas.Row, t time.Time) { *at(r) = t.UTC() }),
	}
}

// optionalTimes is a column of RFC 3339 times, NULL where there is none. The contract has checked them already; what
// cannot be read all the same is NULL.
func optionalTimes(name string, at func(*schemas.Row) *string) column {
	return column{name, "Nullable(DateTime64(3, 'UTC'))",
		filler(func(r *schemas.Row) *time.Time {
			if text := *at(r); text != "" {
				if t, err := time.Parse(time.RFC3339, text); err == nil {
					return &t
				}
			}
			return nil
		}),
		func(r *schemas.Row) bool { return *at(r) == "" },
		reads(func(r *schemas.Row, t *time.Time) {
			if t != nil {
				*at(r) = t.UTC().Format(time.RFC3339Nano)
			}
		}),
	}
}

// numbers is a column of numbers or booleans.
func numbers[T any](name, typ string, at func(*schemas.Row) *T) column {
	return column{name, typ,
		filler(func(r *schemas.Row) T { return *at(r) }), nil,
		reads(func(r *schemas.Row, x T) { *at(r) = x }),
	}
}

// absent is a column of numbers, NULL where has says so.
func absent[T any](name, typ string, get func(*schemas.Row) (T, bool), put func(*schemas.Row, T)) column {
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
	}, func(r *schemas.Row) bool { _, ok := get(r); return !ok }, reads(func(r *schemas.Row, x *T) {
		if x != nil {
			put(r, *x)
		}
	})}
}

// optionals is a column of numbers, NULL where they are zero.
func optionals[T comparable](name, typ string, at func(*schemas.Row) *T) column {
	var zero T
	return absent(name, typ,
		func(r *schemas.Row) (T, bool) { return *at(r), *at(r) != zero },
		func(r *schemas.Row, x T) { *at(r) = x })
}

// pointers is a column of numbers or booleans, NULL where the pointer is nil.
func pointers[T any](name, typ string, at func(*schemas.Row) **T) column {
	return column{name, "Nullable(" + typ + ")", func(s *slab, rows []schemas.Row, to driver.BatchColumn) error {
		refs := borrow[*T](s, len(rows))
		for i := range rows {
			refs = append(refs, *at(&rows[i]))
		}
		err := to.Append(refs)
		clear(refs) // the slab must not keep events alive
		return err
	}, func(r *schemas.Row) bool { return *at(r) == nil }, reads(func(r *schemas.Row, x *T) {
		if x != nil {
			own := *x // the driver may use its own again
			*at(r) = &own
		}
	})}
}

// judged is a number that the classifier gives a text, NULL where there was no text to judge.
func judged(name string, at func(*schemas.Labels) *float32) column {
	return absent(name, "Float32",
		func(r *schemas.Row) (float32, bool) { return *at(&r.Labels), r.Labels.Polarity != "" },
		func(r *schemas.Row, x float32) { *at(&r.Labels) = x })
}

// scores is a score, NULL where it is absent.
func scores(name string, at func(*schemas.Scores) *schemas.Score) column {
	return absent(name, "Float32",
		func(r *schemas.Row) (float32, bool) { x := at(&r.Scores); return x.Value, x.Valid },
		func(r *schemas.Row, x float32) { *at(&r.Scores) = schemas.Score{Value: x, Valid: true} })
}

// lists is a column of arrays of strings.
func lists(name, typ string, at func(*schemas.Row) *[]string) column {
	return column{name, "Array(" + typ + ")", func(_ *slab, rows []schemas.Row, to driver.BatchColumn) error {
		for i := range rows {
			if err := to.AppendRow(*at(&rows[i])); err != nil {
				return err
			}
		}
		return nil
	}, func(r *schemas.Row) bool { return len(*at(r)) == 0 }, reads(func(r *schemas.Row, list []string) {
		if len(list) > 0 {
			*at(r) = slices.Clone(list)
		}
	})}
}

// mentionWords is a column of arrays of few different strings, one position for each mention of the text.
func mentionWords[T ~string](name string, at func(*schemas.Mention) *T) column {
	return eachMention(name, "LowCardinality(String)",
		func(m *schemas.Mention) string { return string(*at(m)) },
		func(m *schemas.Mention, s string) { *at(m) = T(s) })
}

// mentions is a column of arrays of numbers, one position for each mention of the text.
func mentions[T any](name, typ string, at func(*schemas.Mention) *T) column {
	return eachMention(name, typ,
		func(m *schemas.Mention) T { return *at(m) },
		func(m *schemas.Mention, x T) { *at(m) = x })
}

func eachMention[T any](name, typ string, get func(*schemas.Mention) T, put func(*schemas.Mention, T)) column {
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
	}, func(r *schemas.Row) bool { return len(r.Labels.Mentions) == 0 }, reads(func(r *schemas.Row, list []T) {
		l := &r.Labels
		if more := len(list) - len(l.Mentions); more > 0 {
			l.Mentions = append(l.Mentions, make([]schemas.Mention, more)...)
		}
		for i, x := range list {
			put(&l.Mentions[i], x)
		}
	})}
}
