package classify

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/earshot/earshot/schemas"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestLabelsAreTheSameBytesEverywhere compares the labels of fixed texts, every digit of every probability included, with
// a file. The file was written on amd64 and holds on arm64 and on 386, whose processors round between the steps of a sum
// differently if they are let: run "GOARCH=arm64 go test -exec qemu-aarch64-static -run Bytes ./processors/classify".
func TestLabelsAreTheSameBytesEverywhere(t *testing.T) {
	c := mustLoad(t)
	var got bytes.Buffer
	enc := json.NewEncoder(&got)
	for _, in := range goldenInputs(t) {
		l := c.Classify(in)
		line := NewLine(&l)
		line.Model = "" // names the data files, so every row would change with any of them
		if err := enc.Encode(struct {
			Text string
			Line
		}{in.Text, line}); err != nil {
			t.Fatal(err)
		}
	}
	const file = "testdata/labels.golden"
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	a, b := strings.Split(got.String(), "\n"), strings.Split(string(want), "\n")
	if len(a) != len(b) {
		t.Fatalf("%d lines, the golden file has %d; run with -update if texts were added", len(a), len(b))
	}
	for i := range a {
		if a[i] != b[i] {
			t.Errorf("line %d\ngot  %s\nwant %s", i+1, a[i], b[i])
		}
	}
}

// goldenInputs are the texts of the cases, with texts of other languages and scripts, hints and rubbish.
func goldenInputs(t *testing.T) (out []Input) {
	t.Helper()
	raw, err := os.ReadFile("testdata/cases.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(raw), "\n") {
		if cells := strings.Split(line, "\t"); len(cells) == 3 && !strings.HasPrefix(line, "# ") {
			out = append(out, Input{Text: cells[1]})
		}
	}
	low := schemas.Score{Value: -1, Valid: true}
	return append(out,
		Input{Text: "Die Lieferung war leider sehr spät und niemand hat geantwortet.", Language: "de"},
		Input{Text: "El servicio fue excelente, muy amable y rápido."},
		Input{Text: "Je suis très déçu, le produit ne marche pas.", Language: "fr-CA"},
		Input{Text: "Ottimo prodotto, ma la spedizione non è stata veloce.", Language: "it"},
		Input{Text: "配送が遅くて残念です。", Language: "ja"},
		Input{Text: "배송이 너무 늦어요", Rating: low},
		Input{Text: "الخدمة سيئة جدا"},
		Input{Text: "बहुत अच्छा", Language: "hi"},
		Input{Text: "Очень плохо, деньги не вернули"},
		Input{Text: "服务员态度差，等了两小时，但是菜很好吃！", Language: "zh"},
		Input{Text: "Terrible!", QuestionText: "How was the delivery?", StageHint: "sale", Rating: low},
		Input{Text: "No", QuestionText: "Was your problem with the delivery solved?"},
		Input{Text: "Terrible!", S5Hint: schemas.Speed, StageHint: "sale"},
		Input{Text: "\xff\xfe not good \xc3"},
		Input{Text: strings.Repeat("The soup was cold, but the waiter was kind. ", 40)},
		Input{Rating: low})
}

// TestTwiceTheTextIsExactlyTwiceTheSum holds the sums of learned weights to whole numbers: in floating point the last digits
// of a sum depend on its order and on the machine.
func TestTwiceTheTextIsExactlyTwiceTheSum(t *testing.T) {
	c := mustLoad(t)
	sums := func(text string) (out [8]int64) {
		a := c.newAnalysis()
		a.read(text, "en")
		a.topics.settle()
		for i := range a.clauses {
			for k := range 3 {
				out[k] += int64(a.clauses[i].words[k])
				out[3+k] += int64(a.clauses[i].grams[k])
			}
			out[6] += int64(a.clauses[i].gramCount)
		}
		for k := range TopicWidth {
			out[7] += int64(k+1) * int64(a.topics.total[k])
		}
		return out
	}
	for _, text := range tweets(t) {
		one, two := sums(text), sums(text+"\n"+text)
		for k := range one {
			if two[k] != 2*one[k] {
				t.Fatalf("%q: sum %d is %d once and %d twice", text, k, one[k], two[k])
			}
		}
	}
}

// TestClausesKeepToTheSentencesOfUnicode holds the cut into clauses to the rules of UAX #29: no clause reaches over the end
// of a sentence. The texts, with "÷" between sentences, are those of its SentenceBreakTest that hold more than one
// word, and the examples of its rules SB6 to SB8. Where the rules see no end, a clause may end all the same: clauses are finer.
func TestClausesKeepToTheSentencesOfUnicode(t *testing.T) {
	c := mustLoad(t)
	for _, test := range []string{
		`("Go.") ÷(He did.)`, `(“Go?”) ÷(He did.)`, `("Go?") ÷(He did.)`, `He said, “Are you going?” ÷John shook his head.`,
		`“Are you going?” ÷John asked.`, `etc.) ÷The end`, `the resp. leaders are`, `3.4`, `c.d`, `C.d`, `c.D`, `C.D`,
		`U.S.A. is big`, `字.字`, `etc.它`, `字。÷它`, `Wait! ÷Stop? ÷Go.`, "one\n÷two", "one…÷Two", "好！÷再来。÷谢谢？÷不", "a\r\n÷b",
	} {
		text := strings.ReplaceAll(test, "÷", "")
		ends := map[int]bool{}
		for at, part := range strings.SplitAfter(test, "÷") {
			_ = at
			n := len(strings.TrimSuffix(part, "÷"))
			last := 0
			for e := range ends {
				last = max(last, e)
			}
			ends[last+n] = true
		}
		a := c.newAnalysis()
		a.read(text, "")
		for i := range a.clauses {
			first, last := int(a.tokens[a.clauses[i].first].start), int(a.tokens[a.clauses[i].last-1].end)
			for e := range ends {
				if first < e && e < last {
					t.Errorf("%q: a clause %q reaches over the end of a sentence", test, text[first:last])
				}
			}
		}
	}
	// A number is one token with its point, so that it ends no clause.
	a := c.newAnalysis()
	if a.read("costs 3.4 dollars", ""); len(a.clauses) != 1 {
		t.Errorf("a decimal point makes %d clauses", len(a.clauses))
	}
}
