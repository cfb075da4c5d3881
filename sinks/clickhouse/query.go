package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/earshot/earshot/schemas/sql"
)

// DefaultFormat is how results are written where no format is named: a table for people.
const DefaultFormat = "PrettyCompactMonoBlock"

// Query runs one reading statement and writes its result to w in any of ClickHouse's output formats ("CSVWithNames",
// "JSONEachRow", "Parquet", …; empty: [DefaultFormat]), as it comes, without holding it. The statement may use parameters,
// written {name:Type}, whose values are params. Statements that write are refused by the server.
//
// When it returns an error, part of a result may have been written already.
func (s *Store) Query(ctx context.Context, statement string, params map[string]string, format string, w io.Writer) error {
	return s.query(ctx, "query ClickHouse", statement, params, nil, format, w)
}

// Named runs a named query with the parameters given, the others at their defaults. Its answer is of what is stored now.
func (s *Store) Named(ctx context.Context, q sql.Query, params map[string]string, format string, w io.Writer) error {
	_, err := s.NamedWithin(ctx, q, params, 0, format, w)
	return err
}

// Answer says how old an answer is.
type Answer struct {
	AsOf time.Time // of which moment its rows are; zero: of now
}

// NamedWithin is [Store.Named] for those who take answers that are up to maxAge old. What is cached is read if it is not older, or if
// nothing has changed since; the views are otherwise, and also where the cache cannot be used for any other reason.
func (s *Store) NamedWithin(ctx context.Context, q sql.Query, params map[string]string, maxAge time.Duration, format string, w io.Writer) (Answer, error) {
	op := "run query " + q.Name
	if err := q.Check(params); err != nil {
		return Answer{}, refuse(op, "%w", err)
	}
	all := make(map[string]string, len(q.Params))
	for _, p := range q.Params {
		all[p.Name] = p.Default
	}
	maps.Copy(all, params)
	if statement, ok := q.FromCache(all, s.cacheDatabase()); ok {
		look, err := s.Cache(ctx)
		if err == nil && look.Within(maxAge) {
			err := s.query(ctx, op, statement, all, q.Settings, format, w)
			switch {
			case code(err) == unknownTable: // dropped in this moment, as erasing does; nothing was written yet
			case look.Fresh:
				return Answer{}, err
			default:
				return Answer{AsOf: look.AsOf}, err
			}
		}
	}
	return Answer{}, s.query(ctx, op, q.SQL, all, q.Settings, format, w)
}

func (s *Store) query(ctx context.Context, op, statement string, params, own map[string]string, format string, w io.Writer) error {
	format = defaulted(format, DefaultFormat)
	settings := ch.Settings{"readonly": 2} // reads, and settings of its own
	for name, value := range own {
		settings[name] = value
	}
	r, err := s.conn.QueryFormat(ch.Context(ctx,
		ch.WithParameters(escaped(statement, params)),
		ch.WithSettings(settings),
	), format, strings.TrimRight(statement, "; \t\r\n"))
	switch {
	case errors.Is(err, ch.ErrFormatNativeUnsupported):
		return refuse(op, "results in a format need HTTP: give the store's address as http://host:8123 instead of clickhouse://")
	case err != nil:
		return wrap(op, err)
	}
	if _, err := io.Copy(w, r); err != nil {
		return wrap(op, errors.Join(err, r.Close()))
	}
	return wrap(op, r.Close())
}

// escapes are what the server takes out of a parameter's value: it reads it as a field of its tab-separated format.
var escapes = strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`, "\x00", `\0`)

// typed finds the parameters of a statement with their types.
var typed = regexp.MustCompile(`\{\s*(\w+)\s*:\s*([^{}]+?)\s*\}`)

// escaped writes parameters so that the server reads the values that were given, whatever is in them. Arrays, maps and tuples are read as
// they are, with quotes and escapes of their own; and \N is NULL where that may be.
func escaped(statement string, params map[string]string) map[string]string {
	plain := true
	for _, value := range params {
		plain = plain && !strings.ContainsAny(value, "\\\t\n\r\x00")
	}
	if plain {
		return params // as nearly always
	}
	types := map[string]string{}
	for _, m := range typed.FindAllStringSubmatch(statement, -1) {
		types[m[1]] = m[2]
	}
	out := make(map[string]string, len(params))
	for name, value := range params {
		typ := types[name]
		switch {
		case strings.HasPrefix(typ, "Array("), strings.HasPrefix(typ, "Map("), strings.HasPrefix(typ, "Tuple("):
		case value == `\N` && strings.Contains(typ, "Nullable("):
		default:
			value = escapes.Replace(value)
		}
		out[name] = value
	}
	return out
}

// Value runs a query of one row and one column and reads it into dest.
func (s *Store) Value(ctx context.Context, statement string, dest any) error {
	return wrap(fmt.Sprintf("query %.60s", statement), s.conn.QueryRow(ctx, statement).Scan(dest))
}
