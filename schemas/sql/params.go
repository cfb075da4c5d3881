package sql

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Param is a parameter of a named query, used in its SQL as {Name:Type}.
type Param struct {
	Name    string
	Type    string   // a ClickHouse type
	Among   []string // the values it may have; nil: any of the type and form
	Form    string   // "zone": a time zone, "scale": a scale such as 1-5; empty: none in particular
	Default string   // as text, and allowed whatever the rest says; see [Query] for required ones
	Doc     string
}

// Check says what is wrong with parameters, in words for who gave them. The server cannot be left to do so: where no row is counted, what
// the SQL throws at a bad value is never thrown; it takes integers that are too large modulo 2^32, and months after December as 1970.
func (q Query) Check(params map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if !slices.ContainsFunc(q.Params, func(p Param) bool { return p.Name == name }) {
			return fmt.Errorf("it has no parameter %q: it takes %s", name, strings.Join(q.names(), ", "))
		}
	}
	var from, to time.Time
	var said [2]string
	for i := range q.Params { // in their order, so that the message is the same every time
		p := &q.Params[i]
		value, given := params[p.Name]
		if !given {
			value = p.Default
		} else if what := p.wants(value); what != "" {
			return fmt.Errorf("%s takes %s, not %q", p.Name, what, value)
		}
		switch p.Name {
		case "from":
			from, _ = moment(value)
			said[0] = value
		case "to":
			to, _ = moment(value)
			said[1] = value
		}
	}
	if !to.IsZero() && from.After(to) {
		return fmt.Errorf("from, %s, is after to, %s: there is nothing between them", said[0], said[1])
	}
	return nil
}

func (q Query) names() []string {
	out := make([]string, len(q.Params))
	for i := range q.Params {
		out[i] = q.Params[i].Name
	}
	return out
}

// wants says what a parameter takes if that is not such a value, and nothing if it is.
func (p *Param) wants(value string) string {
	switch {
	case value == p.Default:
		return ""
	case p.Among != nil:
		if slices.Contains(p.Among, value) {
			return ""
		}
		return listed(p.Among) + p.orNothing()
	case p.Form == "zone":
		if _, err := time.LoadLocation(value); err == nil && value != "" && value != "Local" { // which are UTC and this machine's for Go only
			return ""
		}
		return "a time zone such as UTC or Europe/Berlin"
	case p.Form == "scale":
		if scaleForm.MatchString(value) {
			return ""
		}
		return "the lowest and the highest answer of a scale, such as 1-5, or 1-5, lowest best" + p.orNothing()
	}
	return ofType(p.Type, value)
}

// orNothing ends the list of what a parameter takes that may be empty.
func (p *Param) orNothing() string {
	if p.Default == "" {
		return ", or nothing"
	}
	return ""
}

// scaleForm is a scale as the views write it: two numbers as ClickHouse prints them, and the direction where it is not the usual one.
var scaleForm = regexp.MustCompile(`^-?\d+(\.\d+)?(e[+-]?\d+)?--?\d+(\.\d+)?(e[+-]?\d+)?(, lowest best)?$`)

// arrayForm is a type of arrays of integers.
var arrayForm = regexp.MustCompile(`^Array\((U?Int\d+)\)$`)

// ofType says what a type takes if that is not such a value. Of types that no query uses, the server is the judge.
func ofType(typ, value string) string {
	if m := arrayForm.FindStringSubmatch(typ); m != nil {
		inner, ok := strings.CutPrefix(value, "[")
		inner, closed := strings.CutSuffix(inner, "]")
		if ok && closed && strings.TrimSpace(inner) == "" {
			return ""
		}
		for one := range strings.SplitSeq(inner, ",") {
			if what := ofType(m[1], strings.TrimSpace(one)); !ok || !closed || what != "" {
				return "a list such as [1,2], each " + ofType(m[1], "")
			}
		}
		return ""
	}
	if size, ok := strings.CutPrefix(typ, "UInt"); ok {
		bits, _ := strconv.Atoi(size) // another size than Go has is none of the queries'
		if _, err := strconv.ParseUint(value, 10, bits); err != nil {
			return fmt.Sprintf("a whole number from 0 to %d", uint64(math.MaxUint64)>>(64-bits))
		}
		return ""
	}
	if size, ok := strings.CutPrefix(typ, "Int"); ok {
		bits, _ := strconv.Atoi(size)
		if _, err := strconv.ParseInt(value, 10, bits); err != nil {
			return fmt.Sprintf("a whole number from %d to %d", int64(math.MinInt64)>>(64-bits), int64(math.MaxInt64)>>(64-bits))
		}
		return ""
	}
	switch {
	case strings.HasPrefix(typ, "Float"):
		if x, err := strconv.ParseFloat(value, 64); err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return "a number"
		}
	case strings.HasPrefix(typ, "DateTime"):
		if t, ok := moment(value); !ok || t.Unix() < 0 || typ == "DateTime" && strings.ContainsAny(value, ".,") {
			return "a time from 1970 on such as 2026-11-01 or 2026-11-01 08:00:00, UTC"
		}
	}
	return ""
}

// seconds is a time in seconds since 1970, which the server takes too.
var seconds = regexp.MustCompile(`^\d{5,10}$`)

// moment reads a time in one of the ways in which the server reads it.
func moment(s string) (t time.Time, ok bool) {
	if seconds.MatchString(s) {
		n, err := strconv.ParseInt(s, 10, 64)
		return time.Unix(n, 0).UTC(), err == nil
	}
	for _, layout := range [...]string{time.DateTime, time.DateOnly, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return t, false
}

// listed is a list for a person: a, b or c.
func listed(values []string) string {
	if len(values) < 2 {
		return strings.Join(values, "")
	}
	last := len(values) - 1
	return strings.Join(values[:last], ", ") + " or " + values[last]
}
