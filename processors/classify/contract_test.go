package classify

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/schemas"
)

// TestWorkedExample holds the classifier to the example that the domain is explained with.
func TestWorkedExample(t *testing.T) {
	l := mustLoad(t).Classify(Input{Text: "Parcel arrived crushed and nobody answered for three days. The girl at the counter was lovely though. I will buy elsewhere."})
	want := []schemas.Mention{
		{Element: schemas.Product, Facet: schemas.Packaging, Polarity: schemas.Quantise(-0.8)},
		{Element: schemas.Service, Facet: schemas.Aftersale, S5: schemas.Speed, Polarity: schemas.Quantise(-0.9)},
		{Element: schemas.Service, Facet: schemas.Sale, S5: schemas.Smile, Polarity: schemas.Quantise(0.8)},
	}
	var got []schemas.Mention
	for _, m := range l.Mentions {
		got = append(got, schemas.Mention{Element: m.Element, Facet: m.Facet, S5: m.S5, Polarity: m.Polarity})
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("mentions\n%v, want\n%v", got, want)
	}
	if l.Intent != schemas.ChurnNotice || !l.ResponseNeeded || l.ChurnRisk < 0.85 {
		t.Errorf("intent %s, response %v, churn %v; want churn_notice, true, high", l.Intent, l.ResponseNeeded, l.ChurnRisk)
	}
	if len(l.ChurnReasons) == 0 || l.ChurnReasons[0] != "explicit: buy elsewhere" {
		t.Errorf("reasons %q, want the first to be explicit: buy elsewhere", l.ChurnReasons)
	}
}

func TestHintsAndContextInformButDoNotOverride(t *testing.T) {
	c := mustLoad(t)
	low, high := schemas.Score{Value: -1, Valid: true}, schemas.Score{Value: 1, Valid: true}
	for _, test := range []struct {
		claim string
		in    Input
		want  func(l schemas.Labels) bool
	}{
		{"an element hint names what the text does not", Input{Text: "Wonderful!", ElementHint: schemas.Service}, func(l schemas.Labels) bool { return l.Element == schemas.Service && len(l.Mentions) == 0 }},
		{"a mention beats the hint", Input{Text: "The soup was delicious.", ElementHint: schemas.Image}, func(l schemas.Labels) bool { return l.Element == schemas.Product }},
		{"a stage hint moves what belongs to any stage", Input{Text: "The clerk was rude.", StageHint: "aftersale"}, func(l schemas.Labels) bool { return l.Mentions[0].Facet == schemas.Aftersale }},
		{"support is after the sale", Input{Text: "The clerk was rude.", Channel: "support"}, func(l schemas.Labels) bool { return l.Mentions[0].Facet == schemas.Aftersale }},
		{"the hint beats the channel", Input{Text: "The clerk was rude.", Channel: "support", StageHint: "presale"}, func(l schemas.Labels) bool {
			return l.Mentions[0].Facet == schemas.Presale && l.Stage == schemas.StagePresale
		}},
		{"a channel of no stage moves nothing", Input{Text: "The clerk was rude.", Channel: "review"}, func(l schemas.Labels) bool { return l.Mentions[0].Facet == schemas.Sale }},
		{"the channel says the stage of service that names none", Input{Text: "Honest people.", Channel: "store"}, func(l schemas.Labels) bool {
			return l.Element == schemas.Service && l.Stage == schemas.StageSale
		}},
		{"the channel says nothing of goods", Input{Text: "The soup was delicious.", Channel: "store"}, func(l schemas.Labels) bool { return l.Stage == schemas.NoStage }},
		{"a chosen answer is not off topic", Input{Text: "test", FieldType: "categorical"}, func(l schemas.Labels) bool { return l.Quality == schemas.QualityOK }},
		{"what is added to a rating is", Input{Text: "test", FieldType: "rating"}, func(l schemas.Labels) bool { return l.Quality == schemas.QualityOffTopic }},
		{"a customer's own word is", Input{Text: "test", FieldType: "text"}, func(l schemas.Labels) bool { return l.Quality == schemas.QualityOffTopic }},
		{"a stage hint moves no delivery", Input{Text: "My order arrived late.", StageHint: "presale"}, func(l schemas.Labels) bool { return l.Mentions[0].Facet == schemas.Sale }},
		{"the question says what a bare word is about", Input{Text: "Terrible!", QuestionText: "How was the delivery?"}, func(l schemas.Labels) bool {
			return len(l.Mentions) == 1 && l.Mentions[0].Facet == schemas.Sale && l.Mentions[0].Polarity < 0 && l.Mentions[0].End == 8
		}},
		{"the text beats the question", Input{Text: "Terrible food!", QuestionText: "How was the delivery?"}, func(l schemas.Labels) bool {
			return len(l.Mentions) == 1 && l.Mentions[0].Element == schemas.Product
		}},
		{"a virtue hint stands where service names none", Input{Text: "The service was bad.", S5Hint: schemas.Speed}, func(l schemas.Labels) bool { return l.Mentions[0].S5 == schemas.Speed }},
		{"a virtue hint turns no other virtue", Input{Text: "The clerk was rude.", S5Hint: schemas.Speed}, func(l schemas.Labels) bool { return l.Mentions[0].S5 == schemas.Smile }},
		{"a virtue hint says what a bare word is about", Input{Text: "Terrible!", S5Hint: schemas.Speed, StageHint: "sale"}, func(l schemas.Labels) bool {
			return len(l.Mentions) == 1 && l.Mentions[0].S5 == schemas.Speed && l.Mentions[0].Facet == schemas.Sale && l.Mentions[0].Polarity < 0 && l.Mentions[0].End == 8 && l.Element == schemas.Service
		}},
		{"a virtue hint makes no mention of a text that judges nothing", Input{Text: "It is Tuesday.", S5Hint: schemas.Speed}, func(l schemas.Labels) bool { return len(l.Mentions) == 0 }},
		{"a virtue of service is none of the product's", Input{Text: "Terrible!", S5Hint: schemas.Speed, ElementHint: schemas.Product}, func(l schemas.Labels) bool {
			return len(l.Mentions) == 0 && l.Element == schemas.Product
		}},
		{"a low rating without words is negative", Input{Rating: low}, func(l schemas.Labels) bool {
			return l.Polarity == schemas.Negative && l.Quality == schemas.QualityEmpty
		}},
		{"a high rating without words is positive", Input{Rating: high}, func(l schemas.Labels) bool { return l.Polarity == schemas.Positive && l.Score > 0.5 }},
		{"no words and no rating is neutral", Input{}, func(l schemas.Labels) bool { return l.Polarity == schemas.Neutral && l.Score == 0 }},
		{"a high rating does not turn bad words", Input{Text: "Terrible quality, it broke.", Rating: high}, func(l schemas.Labels) bool { return l.Polarity == schemas.Negative }},
		{"a low rating raises the churn risk and says so", Input{Text: "It is a chair.", Rating: low}, func(l schemas.Labels) bool {
			return l.ChurnRisk > 0.1 && strings.Contains(strings.Join(l.ChurnReasons, ","), "low rating")
		}},
		{"a rating speaks for a language without words", Input{Text: "배송이 너무 늦어요", Rating: low}, func(l schemas.Labels) bool { return l.Polarity == schemas.Negative }},
		{"a tag that names no language is not kept", Input{Text: "Terrible service, nobody answered.", Language: " English"}, func(l schemas.Labels) bool { return l.Language == "en" && l.Polarity == schemas.Negative }},
		{"a tag for several languages is not kept", Input{Text: "Terrible service, nobody answered.", Language: "mul"}, func(l schemas.Labels) bool { return l.Language == "en" }},
		{"the channel's language is kept", Input{Text: "ok", Language: "en-GB"}, func(l schemas.Labels) bool { return l.Language == "en-GB" }},
		{"an agent is owed no answer", Input{Text: "I am sorry for the terrible delay.", ActorKind: "agent"}, func(l schemas.Labels) bool { return !l.ResponseNeeded && l.ChurnRisk == 0 }},
		{"a bot is owed no answer", Input{Text: "How can I help you?", ActorKind: "bot"}, func(l schemas.Labels) bool { return !l.ResponseNeeded }},
		{"the company's answer is owed none", Input{Text: "How can I help you?", Kind: schemas.AgentResponded}, func(l schemas.Labels) bool { return !l.ResponseNeeded }},
	} {
		t.Run(test.claim, func(t *testing.T) {
			if l := c.Classify(test.in); !test.want(l) {
				t.Errorf("%+v gives %+v", test.in, l)
			}
		})
	}
}

func TestLineHasTheFieldsThatScriptsRead(t *testing.T) {
	l := mustLoad(t).Classify(Input{Text: "The cashier was rude."})
	raw, err := json.Marshal(NewLine(&l))
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"polarity", "sentiment", "score", "confidence", "probabilities", "intent", "mentions", "element", "churn_risk", "response_needed", "language", "quality", "model"} {
		if _, ok := m[k]; !ok {
			t.Errorf("%s has no %q", raw, k)
		}
	}
	mention := m["mentions"].([]any)[0].(map[string]any)
	for _, k := range []string{"element", "facet", "s5", "polarity", "confidence", "start", "end"} {
		if _, ok := mention[k]; !ok {
			t.Errorf("mention %v has no %q", mention, k)
		}
	}
	empty := schemas.Labels{}
	if raw, _ := json.Marshal(NewLine(&empty)); !strings.Contains(string(raw), `"mentions":[]`) {
		t.Errorf("%s: want an empty list of mentions, not null", raw)
	}
}

func TestThemesCoverTheTaxonomy(t *testing.T) {
	themes := mustLoad(t).Themes()
	if len(themes) < 40 {
		t.Errorf("%d themes, want at least 40", len(themes))
	}
	facets, virtues := map[schemas.Facet]bool{}, map[schemas.S5]bool{}
	for _, th := range themes {
		facets[th.Facet], virtues[th.S5] = true, true
		if th.Name == "" || strings.ContainsAny(th.ID, " _A") {
			t.Errorf("theme %+v needs a name and an id of lower-case words", th)
		}
	}
	for _, f := range schemas.Facets() {
		if !facets[f] {
			t.Errorf("no theme of facet %s", f)
		}
	}
	for _, v := range schemas.Virtues() {
		if !virtues[v] {
			t.Errorf("no theme of %s", v)
		}
	}
}

// check returns what is wrong with labels of any text.
func check(text string, l *schemas.Labels) error {
	var sum float64
	for _, p := range l.Probabilities {
		if p < 0 || p > 1 || p != p {
			return fmt.Errorf("probabilities %v", l.Probabilities)
		}
		sum += float64(p)
	}
	if math.Abs(sum-1) > 1e-5 {
		return fmt.Errorf("probabilities %v sum to %v", l.Probabilities, sum)
	}
	if l.Score != schemas.Quantise(float64(l.Score)) || l.ChurnRisk < 0 || l.ChurnRisk > 1 || l.Effort < -5 || l.Effort > 5 {
		return fmt.Errorf("score %v, churn %v, effort %v", l.Score, l.ChurnRisk, l.Effort)
	}
	if l.Language == "" || l.Model == "" || l.Intent == "" || l.Sentiment == "" || l.Quality == "" || !schemas.ValidElement(l.Element) {
		return errors.New("an empty label")
	}
	if len(l.Mentions) > MaxMentions {
		return fmt.Errorf("%d mentions", len(l.Mentions))
	}
	for _, m := range l.Mentions {
		switch {
		case m.Start >= m.End || int(m.End) > len(text):
			return fmt.Errorf("span %d–%d of %d bytes", m.Start, m.End, len(text))
		case utf8.ValidString(text) && !utf8.ValidString(text[m.Start:m.End]):
			return fmt.Errorf("span %d–%d cuts a character", m.Start, m.End)
		case m.Polarity != schemas.Quantise(float64(m.Polarity)) || m.Confidence <= 0 || m.Confidence > 1:
			return fmt.Errorf("polarity %v, confidence %v", m.Polarity, m.Confidence)
		case m.S5 != "" && m.Element != schemas.Service:
			return fmt.Errorf("%s of %s", m.S5, m.Element)
		case m.Facet != "" && m.Facet.Element() != m.Element:
			return fmt.Errorf("facet %s of %s", m.Facet, m.Element)
		}
	}
	return nil
}

func FuzzClassify(f *testing.F) {
	for _, s := range []string{"", "Parcel crushed, nobody answered!", "服务员态度差，等了两小时", "\xff\xfe not good \xc3", "a.b.c?!?!", "😍👍🏽 @x http://a.b/c",
		"don’t “buy” — it’s bad…", "SOOOOO sloooow", "but but but though", "我a1不ß好", "not not not never no bad", "5 5 5 wait 5 hours hours"} {
		f.Add(s, "", float32(0))
	}
	c := mustLoad(f)
	f.Fuzz(func(t *testing.T, text, lang string, rating float32) {
		in := Input{Text: text, Language: lang, Rating: schemas.Score{Value: schemas.Quantise(float64(rating)), Valid: rating != 0}}
		l := c.Classify(in)
		if err := check(text, &l); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if again := c.Classify(in); !reflect.DeepEqual(l, again) {
			t.Errorf("%q: %+v, then %+v", text, l, again)
		}
	})
}

func TestManyGoroutinesGetTheSameLabels(t *testing.T) {
	c := mustLoad(t)
	texts := tweets(t)
	want := make([]schemas.Labels, len(texts))
	for i, s := range texts {
		want[i] = c.Classify(Input{Text: s})
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range texts {
				i = (i*7 + g) % len(texts)
				if l := c.Classify(Input{Text: texts[i]}); !reflect.DeepEqual(l, want[i]) {
					t.Errorf("%q: %+v, want %+v", texts[i], l, want[i])
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestHugeTextsStayLinear counts the work, not the time: four times the text must not give more than about four times
// the hits.
func TestHugeTextsStayLinear(t *testing.T) {
	c := mustLoad(t)
	for i, unit := range []string{"wait ", "staff rude ", "not ", "never ~ again ", "难吃不", "a", "!", "the 5 five ", "but ", ":) ", "waiting for for for ", "@", "http://"} {
		work := func(n int) int {
			a := c.newAnalysis()
			a.read(strings.Repeat(unit, n/len(unit)), "")
			return len(a.tokens) + len(a.clauses) + len(a.cues) + len(a.senses) + len(a.valences) + len(a.segments)
		}
		if small, big := work(64<<10), work(256<<10); big > 5*small+100 {
			t.Errorf("%q: %d units of work for 64 KiB, %d for 256 KiB", unit, small, big)
		}
		size := 128 << 10
		if i < 4 {
			size = 1 << 20
		}
		text := strings.Repeat(unit, size/len(unit))
		l := c.Classify(Input{Text: text})
		if err := check(text, &l); err != nil {
			t.Errorf("%d bytes of %q: %v", size, unit, err)
		}
	}
}

func TestFaultsOfDataFilesNameFileAndLine(t *testing.T) {
	names := []string{"modifiers", "themes", "valence.vader", "valence.own", "emoji", "senses", "cues.en", "cues.implied", "cues.zh", "pairs", "known.en", "model", "settings"}
	for _, test := range []struct{ file, row, want string }{
		{"modifiers", "explode\tx\t0", `unknown kind "explode"`},
		{"modifiers", "boost\tfoo bar\tvery", `column 3 is "very"`},
		{"themes", "x\tX\tproduct\tsale\t-\ttheme", `facet "sale" is no part of "product"`},
		{"themes", "x\tX\tproduct\tquality\tsmile\ttheme", `"smile" is no virtue`},
		{"themes", "refund\tX\tproduct\tquality\t-\ttheme", "defined twice"},
		{"themes", "x\tX\tgoods\t-\t-\ttheme", `unknown element "goods"`},
		{"valence.own", "good", "1 columns, want 2"},
		{"cues.en", "foo\tno-such-theme\t-", `unknown theme "no-such-theme"`},
		{"cues.zh", "好\trefund\t-2", "not within -1"},
		{"cues.en", "~ foo\trefund\t-", "begins or ends with a gap"},
		{"cues.en", "!!\trefund\t-", "holds no word"},
		{"pairs", "staff\tno-such-class\t-\t-\t-", "no class of senses.tsv"},
		{"model", "fr\tbias\t0\t0\t0", `unknown set "fr"`},
		{"settings", "no-such-setting\t1\tx", `unknown setting "no-such-setting"`},
	} {
		fsys := fstest.MapFS{}
		line := 0
		for _, n := range names {
			raw, err := os.ReadFile("data/" + n + ".tsv")
			if err != nil {
				t.Fatal(err)
			}
			raw = []byte(strings.TrimRight(string(raw), "\n") + "\n")
			if n == test.file {
				line = strings.Count(string(raw), "\n") + 1
				raw = append(raw, test.row...)
			}
			fsys[n+".tsv"] = &fstest.MapFile{Data: raw}
		}
		_, err := load(fsys)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s with %q: error %v, want %q", test.file, test.row, err, test.want)
		} else if at := fmt.Sprintf("%s.tsv:%d", test.file, line); test.file != "settings" && !strings.Contains(err.Error(), at) {
			t.Errorf("%s with %q: error %v, want it to name %s", test.file, test.row, err, at)
		}
	}
	if _, err := load(fstest.MapFS{}); err == nil || strings.Count(err.Error(), "\n") < 10 {
		t.Errorf("no files at all gives %v, want every missing file named", err)
	}
}

func TestModelNamesItsData(t *testing.T) {
	c := mustLoad(t)
	if ok := strings.HasPrefix(c.Model(), "linear-1+") && len(c.Model()) == len("linear-1+")+17; !ok {
		t.Errorf("model %q", c.Model())
	}
	fsys := fstest.MapFS{"a.tsv": &fstest.MapFile{Data: []byte("x")}}
	one, _ := digest(fsys)
	fsys["a.tsv"] = &fstest.MapFile{Data: []byte("y")}
	if two, _ := digest(fsys); one == two {
		t.Error("other data, same digest")
	}
}

func TestEvaluateCountsWhatItCannotCompare(t *testing.T) {
	c := mustLoad(t)
	clock := time.Unix(0, 0)
	now := func() time.Time { clock = clock.Add(time.Second); return clock }
	file := `{"text":"delicious food","label":"positive","lang":"en"}
{"text":"terrible food","label":"negative","lang":"en"}

{"text":"terrible phone","label":"positive","lang":"en"}
{"text":"it is a chair","label":"neutral"}
{"text":"so so","label":"mixed"}
{"text":"so so","label":"mixed"}
`
	r, err := c.Evaluate(strings.NewReader(file), AxisAuto, now)
	if err != nil {
		t.Fatal(err)
	}
	if r.Axis != AxisPolarity || r.N != 4 || r.Accuracy != 0.75 || r.Unmapped["mixed"] != 2 || r.PerSecond != 4 || r.TwoClass {
		t.Errorf("%+v", r)
	}
	if s := r.String(); !strings.Contains(s, `2 rows ("mixed" 2)`) || !strings.Contains(s, c.Model()) {
		t.Errorf("the table hides rows:\n%s", s)
	}
	// By hand: negative 1 of 1 right, 2 predicted: F1 2/3; neutral 1; positive 1 of 2, 1 predicted: F1 2/3.
	if math.Abs(r.MacroF1-(2.0/3+1+2.0/3)/3) > 1e-9 || math.Abs(r.MacroRecall-(1+1+0.5)/3) > 1e-9 {
		t.Errorf("macro-F1 %v, macro-recall %v", r.MacroF1, r.MacroRecall)
	}
	two, err := c.Evaluate(strings.NewReader(`{"text":"it is a chair","label":"negative"}`), AxisPolarity, now)
	if err != nil || !two.TwoClass {
		t.Errorf("a file without neutral rows: %+v, %v", two, err)
	}
	for axis, file := range map[Axis]string{AxisIntent: `{"text":"how do i pay?","label":"question"}`, AxisElement: `{"text":"bad phone","label":"product"}`, AxisS5: `{"text":"rude staff","label":"smile"}`} {
		r, err := c.Evaluate(strings.NewReader(file), AxisAuto, now)
		if err != nil || r.Axis != axis || r.Accuracy != 1 || (r.ECE != nil) != (axis == AxisIntent) {
			t.Errorf("%s: %+v, %v", axis, r, err)
		}
	}
	for _, bad := range []string{"", "{\"text\":\"x\",\"label\":\"positive\"}\n{", `{"text":"x","label":"blue"}`} {
		if r, err := c.Evaluate(strings.NewReader(bad), AxisAuto, now); err == nil {
			t.Errorf("%q gives %+v, want an error", bad, r)
		}
	}
	if _, err := c.Evaluate(strings.NewReader(file), "colour", now); err == nil {
		t.Error("an unknown axis is accepted")
	}
}

// tweets returns a few hundred short texts as people post them, made of the case rows.
func tweets(t testing.TB) []string {
	raw, err := os.ReadFile("testdata/cases.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	lines := strings.Split(string(raw), "\n")
	for i, line := range lines {
		cells := strings.Split(line, "\t")
		next := strings.Split(lines[(i+1)%len(lines)], "\t")
		if len(cells) == 3 && len(next) == 3 {
			out = append(out, "@shop "+cells[1]+" "+next[1], cells[1])
		}
	}
	return out
}

func BenchmarkClassify(b *testing.B) {
	c := mustLoad(b)
	texts := tweets(b)
	bytes := 0
	for _, s := range texts {
		bytes += len(s)
	}
	for name, read := range forms(c) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(bytes / len(texts)))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				read(texts[i%len(texts)])
			}
		})
	}
}

// forms are the two ways to classify: into new labels, and into those of the text before.
func forms(c *Classifier) map[string]func(string) {
	var l schemas.Labels
	return map[string]func(string){
		"new labels":  func(s string) { c.Classify(Input{Text: s}) },
		"used labels": func(s string) { c.ClassifyInto(Input{Text: s}, &l) },
	}
}

const hundredCharacters = "@shop my parcel was late again, the courier was rude and nobody answers the phone. Never ordering again"

// BenchmarkHundredCharacters is the size that the speed goal is stated for.
func BenchmarkHundredCharacters(b *testing.B) {
	for name, read := range forms(mustLoad(b)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				read(hundredCharacters)
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		mustLoad(b)
	}
}
