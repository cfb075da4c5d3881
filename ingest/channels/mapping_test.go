package channels

import (
	"strings"
	"testing"
)

func TestPathsFindWhatTheyName(t *testing.T) {
	doc, err := ParseRecord([]byte(`{"a":{"b":"x","n":1.50,"list":[{"c":"y"},{"c":"z"},{"d":null}],"empty":"","no":null,"t":true},"odd.name":"o","0":"zero"}`))
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"a.b": "x", "a.n": "1.50", "a.list[1].c": "z", "a.list[*].c": "y; z", "a.list[7].c": "", "a.b.c": "", "none": "", "a.no": "", "a.t": "true",
		`odd\.name`: "o", "a.empty|a.b": "x", "none|a.list[*].c": "y; z", "0": "zero", "a.list[2]": `{"d":null}`, "a.list.c": "",
	} {
		p, err := parsePath(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
		} else if got := p.text(doc); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
	for _, in := range []string{"", "a..b", "a[", "a[x]", "a[-1]", "a[0]b", "a.", ".a", "a|"} {
		if _, err := parsePath(in); err == nil {
			t.Errorf("the path %q was taken", in)
		}
	}
}

func TestAFaultyMappingIsNamed(t *testing.T) {
	for in, want := range map[string]string{
		`{"fields":{"text":"t"}}`:                               "",
		`{"fields":{"rating":"t"},"zone":"Mars"}`:               "zone",
		`{"fields":{"txt":"t","text":"x"}}`:                     `no field "txt"`,
		`{"fields":{}}`:                                         "neither text nor rating",
		`{"field":{"text":"t"}}`:                                "unknown field",
		`{"fields":{"text":"a["}}`:                              "path",
		`{"fields":{"text":"t"},"type":"feedback.v1"}`:          "type",
		`{"fields":{"text":"t"},"text":"markdown"}`:             "text",
		`{"fields":{"text":"t","metadata":"m"}}`:                `no field "metadata"`,
		`{"fields":{"text":"t"}} {}`:                            "follows",
		`{"fields":{"text":"t"},"values":{"chanel":{"a":"b"}}}`: `no field "chanel"`,
		`nonsense`: "read the mapping",
	} {
		_, err := ParseMapping([]byte(in))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want %q, found %v", in, want, err)
		}
	}
}

func TestARecordIsMappedStrictly(t *testing.T) {
	m, err := ParseMapping([]byte(`{"fields":{"id":"id","text":"words","rating":"stars","scale":"of","time":"at","channel":"where","customer":"who"},
		"values":{"channel":{"kiosk":"store"},"rating":{"good":"5"}},"set":{"channel":"web"},"time":"02.01.2006 15:04","zone":"Europe/Vienna","text":"reply"}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		claim  string
		record map[string]string
		want   string // of the event's JSON or the problem
		ok     bool
	}{
		{"a full one", map[string]string{"id": "1", "words": "Slow\n> quoted", "stars": "2", "of": "1-5", "at": "20.11.2026 10:00", "where": "kiosk", "who": "c"},
			`"time":"2026-11-20T09:00:00Z","tenantid":"acme","datacontenttype":"application/json","data":{"channel":"store","value_text":"Slow","value_number":2`, true},
		{"a word for a number", map[string]string{"stars": "good"}, `"value_number":5,"scale_min":1,"scale_max":5`, true},
		{"the constant where there is none", map[string]string{"words": "x"}, `"channel":"web"`, true},
		{"an id is made where there is none", map[string]string{"words": "x"}, `"id":"made"`, true},
		{"a number that is none", map[string]string{"words": "x", "stars": "five"}, "rating: ", false},
		{"a rating off its scale", map[string]string{"stars": "7", "of": "1-5"}, "off its scale", false},
		{"a scale that is none", map[string]string{"stars": "3", "of": "five"}, "scale: ", false},
		{"a time of another layout", map[string]string{"words": "x", "at": "2026-11-20"}, "time: ", false},
		{"a channel that is none", map[string]string{"words": "x", "where": "moon"}, "channel: ", false},
		{"nothing said", map[string]string{"id": "9"}, "value_number", false},
	} {
		e, ps := m.Event(func(place string) string { return c.record[place] }, Origin{Tenant: "acme", Source: "/import/x", ID: "made", Received: received})
		switch {
		case c.ok && len(ps) > 0:
			t.Errorf("%s: %v", c.claim, ps)
		case c.ok:
			if got := string(keeps(t, c.claim, e)); !strings.Contains(got, c.want) {
				t.Errorf("%s: %s, want %s", c.claim, got, c.want)
			}
		case len(ps) == 0 || !strings.Contains(ps.Error(), c.want):
			t.Errorf("%s: problems %v, want %q", c.claim, ps, c.want)
		}
	}
}
