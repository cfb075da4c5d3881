package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/earshot/earshot/processors/classify"
)

func shipped(t *testing.T) *classify.Classifier {
	t.Helper()
	c, err := classify.Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Outside programs read these names; they must not change.
func TestClassifyWritesTheNamesThatOthersRead(t *testing.T) {
	var out, faults bytes.Buffer
	in := `{"text":"Parcel arrived crushed and nobody answered for three days. The girl at the counter was lovely though. I will buy elsewhere.","language":"en"}
{"rating":5}
{"text":""}
`
	if err := classifyLines(shipped(t), strings.NewReader(in), "in", &out, &faults); err != nil {
		t.Fatalf("%v %s", err, faults.String())
	}
	rows := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(rows) != 3 {
		t.Fatalf("%d lines, want one for each of three", len(rows))
	}
	for _, row := range rows {
		var m map[string]any
		if err := json.Unmarshal([]byte(row), &m); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"polarity", "sentiment", "score", "confidence", "probabilities", "intent", "mentions", "element", "churn_risk", "response_needed", "language", "quality", "model"} {
			if _, ok := m[name]; !ok {
				t.Errorf("%s is missing in %s", name, row)
			}
		}
	}
	var first struct {
		Polarity, Intent string
		Mentions         []map[string]any
	}
	json.Unmarshal([]byte(rows[0]), &first)
	var seen []string
	for _, m := range first.Mentions {
		seen = append(seen, m["element"].(string)+"/"+m["facet"].(string)+"/"+m["s5"].(string))
		for _, name := range []string{"element", "facet", "s5", "polarity", "confidence", "start", "end"} {
			if _, ok := m[name]; !ok {
				t.Errorf("a mention has no %s", name)
			}
		}
	}
	for _, want := range []string{"product/packaging/", "service/aftersale/speed", "service/sale/smile"} {
		if !slices.Contains(seen, want) {
			t.Errorf("%s is not among the mentions %v", want, seen)
		}
	}
	if first.Intent != "churn_notice" {
		t.Errorf("intent %s, want churn_notice", first.Intent)
	}
	if !strings.Contains(rows[1], `"polarity":"positive"`) || !strings.Contains(rows[2], `"quality":"empty"`) {
		t.Errorf("five stars and an empty text are %s", rows[1:])
	}
}

func TestClassifyReportsBadLinesAndGoesOn(t *testing.T) {
	for _, c := range []struct{ claim, line, want string }{
		{"an array", `[1]`, "found array"},
		{"a wrong type", `{"text":7}`, "text: found number, wanted string"},
		{"nothing to classify", `{"language":"en"}`, "has neither text nor rating"},
		{"a rating off its scale", `{"rating":6}`, "off its scale"},
		{"broken JSON", `{"text":`, "is not an object such as"},
		{"Latin-1", "{\"text\":\"caf\xe9\"}", "is not UTF-8"},
		{"an endless line", `{"text":"` + strings.Repeat("a", maxLine) + `"}`, "is longer than"},
		{"an unknown stage", `{"text":"ok","stage_hint":"presales"}`, `stage_hint "presales" is none of presale, sale, aftersale`},
		{"an unknown order state", `{"text":"ok","order_state":"gone"}`, "is none of delivered"},
	} {
		t.Run(c.claim, func(t *testing.T) {
			var out, faults bytes.Buffer
			err := classifyLines(shipped(t), strings.NewReader(c.line+"\n{\"text\":\"ok\"}\n"), "in", &out, &faults)
			if !errors.Is(err, errReported) || !strings.Contains(faults.String(), "in, line 1: ") || !strings.Contains(faults.String(), c.want) {
				t.Errorf("%v, %q; want %q for line 1", err, faults.String(), c.want)
			}
			if strings.Count(out.String(), "\n") != 1 {
				t.Errorf("%q: the good line after it is missing", out.String())
			}
		})
	}
}

func TestClassifyTakesWhatIsKnownOfTheText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ claim, in, want string }{
		{"the id comes back as it was", `{"id":17,"text":"ok"}`, `{"id":17,"polarity"`},
		{"an id may be a word", `{"id":"a-1","text":"ok"}`, `{"id":"a-1",`},
		{"the words have a polarity of their own", `{"text":"Terrible quality, it broke.","rating":5}`, `"sentiment_text":"negative"`},
		{"five stars for bad words disagree", `{"text":"Terrible quality, it broke.","rating":5}`, `"rating_disagrees":true`},
		{"five stars for good words agree", `{"text":"I love it!","rating":5}`, `"rating_disagrees":false`},
		{"a stage hint is the stage", `{"text":"The clerk was rude.","stage_hint":"presale"}`, `"facet":"presale"`},
		{"so is the state of the order", `{"text":"The clerk was rude.","order_state":"returned"}`, `"facet":"aftersale"`},
		{"the stage hint goes before it", `{"text":"The clerk was rude.","order_state":"returned","stage_hint":"sale"}`, `"stage":"sale"`},
		{"the question says what is meant", `{"text":"Terrible!","question_text":"How was the delivery?"}`, `"element":"service"`},
		{"an element hint stands where none is named", `{"text":"Wonderful!","element_hint":"image"}`, `"element":"image"`},
		{"an agent is owed no answer", `{"text":"Sorry for the delay.","actor_kind":"agent"}`, `"response_needed":false`},
		{"a mark at the head of the file is no text", "\xef\xbb\xbf{\"text\":\"ok\"}", `"quality":"ok"`},
	} {
		t.Run(c.claim, func(t *testing.T) {
			var out, faults bytes.Buffer
			err := classifyLines(shipped(t), strings.NewReader(c.in+"\r\n\r\n{\"text\":\"ok\"}"), "in", &out, &faults)
			if rows := strings.SplitAfter(out.String(), "\n"); err != nil || len(rows) != 3 || !strings.Contains(rows[0], c.want) {
				t.Errorf("%v, %s%s; want %s in the first of two lines", err, out.String(), faults.String(), c.want)
			}
		})
	}
	var out, faults bytes.Buffer
	if classifyLines(shipped(t), strings.NewReader(`{"text":"ok"}`), "in", &out, &faults); strings.Contains(out.String(), "rating_disagrees") || strings.Contains(out.String(), `"id"`) {
		t.Errorf("%s: nothing was rated and no id given", out.String())
	}
}

func TestCommandsCalledWronglySaySoAndEndWithTwo(t *testing.T) {
	for _, args := range []string{
		"", "nonsense", "up now", "demo --onse", "query", "query --name nope", "query --name worst_themes --param foo=1",
		"query --name csat --by bogus", "query --name csat --param tz=", "query --name net_sentiment --param of=bogus", "query --name themes --param limit=4294967296",
		"query --param x SELECT", "evaluate", "evaluate --axis bogus x", "train", "adapt", "publish --batch 0 x", "publish", "process", "ingest", "config x",
		"dlq", "dlq bury", "dlq list nonsense", "dlq list --state lost", "dlq show", "dlq show 0-1 0-2", "dlq replay", "dlq discard",
		"dlq replay --file x 0-1 0-2", "dlq replay --header a=b 0-1", "dlq discard --state replayed", "dlq list --reason odd", "dlq list --since soon",
	} {
		t.Run(args, func(t *testing.T) {
			stdout, stderr, code := output(t, earshot(t, dataFolder(t), strings.Fields(args)...))
			if code != exitUsage || stderr == "" && stdout == "" {
				t.Errorf("code %d, %q %q; want 2 and a reason", code, stdout, stderr)
			}
		})
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	for _, c := range commands() {
		_, stderr, code := output(t, earshot(t, dataFolder(t), c.name, "-h"))
		if code != exitOK || !strings.Contains(stderr, "usage: earshot "+c.name) {
			t.Errorf("%s -h: code %d, %q", c.name, code, stderr)
		}
		for line := range strings.Lines(stderr) {
			if len([]rune(line)) > 140 {
				t.Errorf("%s -h has a line of %d characters: %s", c.name, len([]rune(line)), line)
			}
		}
	}
}
