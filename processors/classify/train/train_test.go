package train

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/earshot/earshot/processors/classify"
)

// rows makes rows of which the answer is known: made-up words that no list holds.
func rows(n int) string {
	var b strings.Builder
	for i := range n {
		for label, word := range [3]string{"zonkish", "middling", "blorpish"} {
			fmt.Fprintf(&b, "{\"text\":\"the %s thing number %d is here\",\"label\":%q,\"lang\":\"en\"}\n", word, i, headClasses[0].Classes[label])
		}
	}
	return b.String()
}

const plan = "# a plan\nsentiment\ttrain\ta.jsonl\t-\t1\tours\tmade up\nsentiment\tdev\tb.jsonl\t-\t1\tours\tmade up\n" +
	"junk\ttrain\ta.jsonl\tnegative=spam,neutral=ham,positive=ham\t1\tours\tmade up\n"

func trained(t *testing.T) (*classify.Classifier, *classify.Heads) {
	t.Helper()
	c, err := classify.LoadRules()
	if err != nil {
		t.Fatal(err)
	}
	p, err := ReadPlan(strings.NewReader(plan))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"a.jsonl": rows(200), "b.jsonl": rows(20)}
	open := func(name string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(files[name])), nil }
	o := DefaultOptions()
	o.Runs = 1
	h, err := Train(c, p, open, o, "2026-11-24", func(string, ...any) {})
	if err != nil {
		t.Fatal(err)
	}
	return c, h
}

func TestTrainLearnsWordsItHasNeverSeenAndNamesItsRows(t *testing.T) {
	c, h := trained(t)
	c = c.With(h)
	for text, want := range map[string]string{"a zonkish lamp": "negative", "a middling lamp": "neutral", "a blorpish lamp": "positive"} {
		if l := c.Classify(classify.Input{Text: text, Language: "en"}); string(l.Polarity) != want {
			t.Errorf("%q is %s, want %s", text, l.Polarity, want)
		}
	}
	if len(h.Card.Sources) != 3 || h.Card.Sources[0].Rows != 600 || h.Card.Sources[0].Licence != "ours" || len(h.Card.Sources[0].SHA256) != 16 {
		t.Errorf("card %+v does not say what it was made of", h.Card)
	}
}

// What a plan can hold that nothing can be learned from is said, and texts that the rules are sure of are learned from.
func TestPlansThatTeachNothingAreRefused(t *testing.T) {
	c, err := classify.LoadRules()
	if err != nil {
		t.Fatal(err)
	}
	sure := "{\"text\":\"rude staff\",\"label\":\"negative\"}\n{\"text\":\"Very good quality though\",\"label\":\"positive\"}\n"
	with := func(change func(*Options)) Options {
		o := DefaultOptions()
		o.Runs = 1
		change(&o)
		return o
	}
	good := with(func(*Options) {})
	const one = "sentiment\ttrain\ta.jsonl\t-\t1\tours\tmade up\n"
	for _, test := range []struct {
		claim, plan, a, b string
		o                 Options
		want              string // "": it is trained
	}{
		{"short plain texts", one, sure, "", good, ""},
		{"an empty file", one, "", "", good, "no row of sentiment is left"},
		{"nothing but rows held back", "sentiment\tdev\tb.jsonl\t-\t1\tours\tmade up\n", "", sure, good, "no row of sentiment is left"},
		{"all rows held back", one + "sentiment\tdev\tb.jsonl\t-\t1\tours\tmade up\n", sure, sure, good, "no row of sentiment is left"},
		{"an empty file of another head", one + "junk\ttrain\tb.jsonl\t-\t1\tours\tmade up\n", sure, "", good, "no row of junk is left"},
		{"rows of one class", one, "{\"text\":\"rude staff\",\"label\":\"negative\"}\n{\"text\":\"late again\",\"label\":\"negative\"}\n", "", good, `all 2 rows of sentiment that are left to learn from are "negative"`},
		{"no epochs", one, sure, "", with(func(o *Options) { o.Epochs = 0 }), "epochs is 0"},
		{"no runs", one, sure, "", with(func(o *Options) { o.Runs = 0 }), "runs is 0"},
		{"a rate that is no number", one, sure, "", with(func(o *Options) { o.Rate = math.NaN() }), "rate is NaN"},
		{"all features dropped", one, sure, "", with(func(o *Options) { o.Drop = 1 }), "drop is 1"},
	} {
		t.Run(test.claim, func(t *testing.T) {
			p, err := ReadPlan(strings.NewReader(test.plan))
			if err != nil {
				t.Fatal(err)
			}
			files := map[string]string{"a.jsonl": test.a, "b.jsonl": test.b}
			open := func(name string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(files[name])), nil }
			_, err = Train(c, p, open, test.o, "2026-11-29", func(string, ...any) {})
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

func TestTheSameRowsGiveTheSameModelFile(t *testing.T) {
	_, a := trained(t)
	_, b := trained(t)
	x, _ := a.Marshal()
	y, _ := b.Marshal()
	if !bytes.Equal(x, y) {
		t.Error("two trainings on the same rows differ")
	}
	h, err := classify.UnmarshalHeads(x)
	if err != nil {
		t.Fatal(err)
	}
	if z, _ := h.Marshal(); !bytes.Equal(x, z) {
		t.Error("a model file read and written again differs")
	}
}

func TestRowsThatAreHeldBackAreNotLearnedFrom(t *testing.T) {
	p, _ := ReadPlan(strings.NewReader(plan))
	same := "{\"text\":\"@shop It BROKE!\",\"label\":\"negative\"}\n{\"text\":\"other words\",\"label\":\"neutral\"}\n"
	open := func(name string) (io.ReadCloser, error) {
		if name == "b.jsonl" {
			return io.NopCloser(strings.NewReader("{\"text\":\"it broke http://x.y\",\"label\":\"negative\"}\n")), nil
		}
		return io.NopCloser(strings.NewReader(same)), nil
	}
	got, _, err := gather(p, open)
	if err != nil || len(got["sentiment"].train) != 1 || got["sentiment"].train[0].Text != "other words" {
		t.Errorf("%+v, %v: want the row that is alike dropped", got["sentiment"], err)
	}
}

func TestFaultsOfAPlanNameTheLine(t *testing.T) {
	for _, c := range []struct{ plan, want string }{
		{"", "names no file"},
		{"# x\nsentiment\ttrain\ta", "line 2: 3 columns"},
		{"mood\ttrain\ta\t-\t1\tx\ty", `head "mood"`},
		{"junk\tread\ta\t-\t1\tx\ty", `use "read"`},
		{"junk\ttrain\ta\tham\t1\tx\ty", "no label=class"},
		{"junk\ttrain\ta\t-\tmuch\tx\ty", `weight "much"`},
	} {
		if _, err := ReadPlan(strings.NewReader(c.plan)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.plan, err, c.want)
		}
	}
	p, _ := ReadPlan(strings.NewReader(plan))
	for file, want := range map[string]string{
		"\n{\"text\":\"x\",\"label\":\"blue\"}":        `a.jsonl, line 2: label "blue" is no class of sentiment, which are negative, neutral, positive`,
		"{\"text\":\"x\",\"label\":[]}":                "a.jsonl: line 1: label is of the type array, want string",
		strings.Repeat("x", classify.MaxLine+1) + "\n": "a.jsonl: line 1: is longer than",
	} {
		open := func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(file)), nil }
		if _, _, err := gather(p, open); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestPlansAndRowsAreReadAsPeopleSaveThem(t *testing.T) {
	saved := func(s string) string { return "\ufeff" + strings.ReplaceAll(s, "\n", "\r\n") }
	want, err := ReadPlan(strings.NewReader(plan))
	if err != nil {
		t.Fatal(err)
	}
	wide := strings.NewReplacer("negative=spam,", " Negative = SPAM ,", "\tours", "\t ours ").Replace(plan)
	if got, err := ReadPlan(strings.NewReader(saved(wide))); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	rows, _, err := ReadRows(strings.NewReader(saved("{\"text\":\"a\",\"label\":\" Positive \"}\n\n{\"text\":\"b\",\"label\":\"ham\"}\n")))
	if err != nil || !reflect.DeepEqual(rows, []Row{{Text: "a", Label: "positive", line: 1}, {Text: "b", Label: "ham", line: 3}}) {
		t.Errorf("%+v, %v", rows, err)
	}
}

func TestTemperatureSoftensWhatIsTooSure(t *testing.T) {
	m := newLinear(2, 1, 1)
	m.dense[0][0], m.dense[1][0] = 0, 4 // always 98 % sure of class 1, right three times in four
	var dev []row
	for i := range 100 {
		label := 1
		if i%4 == 0 {
			label = 0
		}
		dev = append(dev, row{dense: []int32{unit}, label: label, weight: 1})
	}
	if got := m.temperature(dev); got < 3.4 || got > 3.9 { // 4 / ln 3 = 3.64
		t.Errorf("temperature %.2f, want 3.64", got)
	}
}
