package sql

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/earshot/earshot/schemas"
)

func TestParametersAreCheckedBeforeTheyAreSent(t *testing.T) {
	for _, c := range []struct{ query, given, want string }{ // given as name=value and name=value; want: nothing, or a part of what is said
		{"csat", "", ""},
		{"csat", "by=week", ""},
		{"csat", "by=bogus", `by takes minute, hour, day, week, month or all, not "bogus"`},
		{"csat", "by=", `by takes minute, hour, day, week, month or all, not ""`},
		{"sla", "by=minute", `by takes hour, day, week, month or all, not "minute"`},
		{"csat", "split=", ""},
		{"csat", "split=stage", ""},
		{"csat", "split=bogus", `split takes channel, product, language, stage, element, facet or s5, or nothing, not "bogus"`},
		{"speed_gap", "split=stage", `split takes channel or product, or nothing, not "stage"`},
		{"csat", "stage=none", ""},
		{"csat", "stage=bogus", `stage takes presale, sale, aftersale or none, or nothing`},
		{"net_sentiment", "of=bogus", `of takes text, element, facet or s5, not "bogus"`},
		{"satisfaction_index", "of=text", `of takes element, facet or s5, not "text"`},
		{"impact", "metric=bogus", `metric takes csat or nps, not "bogus"`},
		{"importance_performance", "metric=", `metric takes csat or nps, not ""`},
		{"kano", "level=bogus", `level takes element, facet, s5 or theme, not "bogus"`},
		{"feedback_latest", "facet=bogus", `facet takes quality, packaging,`},
		{"csat", "tenant=bogus", ""}, // any word may be one
		{"csat", "colour=red", `it has no parameter "colour": it takes tenant, by,`},
		{"csat", "scale=1-5", ""},
		{"csat", "scale=-2-2", ""},
		{"csat", "scale=-2.5--1e21, lowest best", ""},
		{"csat", "scale=", ""},
		{"csat", "scale=bogus", "scale takes the lowest and the highest answer of a scale, such as 1-5, or 1-5, lowest best, or nothing"},
		{"csat", "scale=5", "scale takes"},
		{"figures_over_time", "scale=", "such as 1-5, or 1-5, lowest best, not"},
		{"csat", "tz=Asia/Kolkata", ""},
		{"csat", "tz=", `tz takes a time zone such as UTC or Europe/Berlin, not ""`},
		{"csat", "tz=Local", "tz takes a time zone"},
		{"csat", "tz=Mars/Olympus", "tz takes a time zone"},
		{"themes", "limit=4294967295", ""},
		{"themes", "limit=4294967296", `limit takes a whole number from 0 to 4294967295, not "4294967296"`},
		{"themes", "limit=-1", "limit takes a whole number from 0 to 4294967295"},
		{"themes", "limit=1.5", "limit takes a whole number"},
		{"themes", "limit=", "limit takes a whole number"},
		{"due", "overdue=2", "overdue takes 0 or 1"},
		{"churn_risk", "risk=0.25", ""},
		{"churn_risk", "risk=high", "risk takes a number"},
		{"churn_risk", "risk=nan", "risk takes a number"},
		{"alert_window", "steps=[ ]", ""},
		{"alert_window", "steps=[1, 2]", ""},
		{"alert_window", "steps=[1,4294967297]", "steps takes a list such as [1,2], each a whole number from 0 to 4294967295"},
		{"alert_window", "steps=1,2", "steps takes a list"},
		{"alert_window", "feed=feedback", "feed takes alert_feed or alert_feed_mentions"},
		{"alert_window", "from=2026-11-01 08:00:00.500", ""},
		{"csat", "from=2026-11-01 08:00:00 and to=2026-11-01 08:00:00", ""},
		{"csat", "from=2026-11-02 and to=2026-11-01", "from, 2026-11-02, is after to, 2026-11-01"},
		{"csat", "from=2026-11-02T00:00:00 and to=1762000000", "is after to"},
		{"csat", "from=2150-01-01", "is after to, 2100-01-01"},
		{"csat", "to=2026-11-01", ""}, // from 90 days before
		{"csat", "from=2026-13-01 00:00:00", "from takes a time from 1970 on such as 2026-11-01 or 2026-11-01 08:00:00, UTC"},
		{"csat", "from=yesterday", "from takes a time"},
		{"csat", "from=", "from takes a time"},
		{"csat", "from=1960-01-01 00:00:00", "from takes a time from 1970 on"},
		{"csat", "from=2026-11-01 08:00:00.5", "from takes a time"},
	} {
		q, err := Find(c.query)
		if err != nil {
			t.Fatal(err)
		}
		params := map[string]string{}
		for one := range strings.SplitSeq(c.given, " and ") {
			if name, value, ok := strings.Cut(one, "="); ok {
				params[name] = value
			}
		}
		err = q.Check(params)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s %s: %v, want %q", c.query, c.given, err, c.want)
		}
	}
}

// The values stand in the header for who asks by the query's name, and in the SQL for who runs it.
func TestHeaderAllowsWhatTheSQLAllows(t *testing.T) {
	list := regexp.MustCompile(`throwIf\(\{(\w+):String\} NOT IN \(([^)]*)\)`)
	for _, q := range Queries() {
		statements := []string{q.SQL}
		if q.usual != nil {
			statements = append(statements, q.usual.statement)
		}
		for _, m := range list.FindAllStringSubmatch(strings.Join(statements, "\n"), -1) {
			var want []string
			for one := range strings.SplitSeq(m[2], ", ") {
				want = append(want, strings.Trim(one, "'"))
			}
			p := q.Params[slices.IndexFunc(q.Params, func(p Param) bool { return p.Name == m[1] })]
			got := slices.Clone(p.Among)
			if !slices.Contains(got, p.Default) {
				got = append(got, p.Default)
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %s takes %q by its header, %q by its SQL", q.Name, p.Name, got, want)
			}
		}
	}
	var facets, elements []string
	for _, f := range schemas.Facets() {
		facets = append(facets, string(f))
	}
	for _, e := range append(schemas.Elements(), schemas.Unspecified) {
		elements = append(elements, string(e))
	}
	q, err := Find("feedback_latest")
	if err != nil {
		t.Fatal(err)
	}
	if got := q.param("facet").Among; !slices.Equal(got, facets) {
		t.Errorf("facet takes %q, the taxonomy has %q", got, facets)
	}
	if got := q.param("element").Among; !slices.Equal(got, elements) {
		t.Errorf("element takes %q, the taxonomy has %q", got, elements)
	}
}

// A type that [ofType] does not know would be let through as it is.
func TestTypesOfParametersAreKnown(t *testing.T) {
	free := []string{"String", "Identifier", "Array(String)"}
	for _, q := range Queries() {
		for _, p := range q.Params {
			if !slices.Contains(free, p.Type) && ofType(p.Type, "no such value") == "" {
				t.Errorf("%s: nothing is checked of %s %s", q.Name, p.Name, p.Type)
			}
			if q.Check(map[string]string{p.Name: p.Default}) != nil || ofType(p.Type, p.Default) != "" {
				t.Errorf("%s: the default of %s is refused", q.Name, p.Name)
			}
		}
	}
}
