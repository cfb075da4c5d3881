package channels

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// path finds a value in a JSON document: names joined by dots, [2] for an element of a list, [*] for all of them, whose
// values are joined by "; ". "a.b|c" is the first of several paths that has a value. A dot in a name is written \. .
type path [][]step

type step struct {
	name  string
	index int // of a list; all: −1
	list  bool
}

const allElements = -1

func parsePath(s string) (path, error) {
	var out path
	for alternative := range strings.SplitSeq(s, "|") {
		var steps []step
		for _, part := range splitDots(strings.TrimSpace(alternative)) {
			name, rest, indexed := strings.Cut(part, "[")
			if name != "" {
				steps = append(steps, step{name: name})
			} else if !indexed {
				return nil, fmt.Errorf("the path %q has an empty name", s)
			}
			for indexed {
				var inner string
				var closed bool
				inner, rest, closed = strings.Cut(rest, "]")
				i, err := strconv.Atoi(inner)
				if inner == "*" {
					i, err = allElements, nil
				}
				if !closed || err != nil || i < allElements || inner == "-1" {
					return nil, fmt.Errorf("the path %q has %q where [0], [1] … or [*] is wanted", s, "["+inner)
				}
				steps = append(steps, step{index: i, list: true})
				var before string
				before, rest, indexed = strings.Cut(rest, "[")
				if before != "" {
					return nil, fmt.Errorf("the path %q has %q after ]", s, before)
				}
			}
		}
		out = append(out, steps)
	}
	return out, nil
}

func splitDots(s string) (parts []string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '.':
			parts = append(parts, b.String())
			b.Reset()
		default:
			b.WriteByte(s[i])
		}
	}
	return append(parts, b.String())
}

// maxValues bounds what [*] collects, so that nested ones cannot multiply.
const maxValues = 10_000

// all are the values at the path: of the first alternative that has any.
func (p path) all(doc any) []any {
	for _, steps := range p {
		values := []any{doc}
		for _, s := range steps {
			var next []any
			for _, v := range values {
				switch v := v.(type) {
				case map[string]any:
					if x, ok := v[s.name]; ok && !s.list {
						next = append(next, x)
					}
				case []any:
					switch {
					case s.list && s.index == allElements:
						next = append(next, v...)
					case s.list && s.index < len(v):
						next = append(next, v[s.index])
					}
				}
				if len(next) > maxValues {
					next = next[:maxValues]
				}
			}
			values = next
		}
		if len(values) > 1 || len(values) == 1 && asText(values[0]) != "" {
			return values
		}
	}
	return nil
}

// text is the value at the path as text, several joined.
func (p path) text(doc any) string {
	var out []string
	for _, v := range p.all(doc) {
		if s := asText(v); s != "" {
			out = append(out, s)
		}
	}
	return strings.Join(out, "; ")
}

// asText writes a JSON value as text: a string as it is, nothing for null, and JSON for the rest.
func asText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "" // it came from JSON: it cannot happen
	}
	return string(b)
}
