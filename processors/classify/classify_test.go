package classify

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/earshot/earshot/schemas"
)

func mustLoad(t testing.TB) *Classifier {
	t.Helper()
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestLanguages holds the word lists to the claims of testdata/languages.tsv.
func TestLanguages(t *testing.T) {
	raw, err := os.ReadFile("testdata/languages.tsv")
	if err != nil {
		t.Fatal(err)
	}
	c := mustLoad(t)
	for i, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		cells := strings.Split(line, "\t")
		if len(cells) != 4 {
			t.Fatalf("languages.tsv:%d: %d columns, want 4", i+1, len(cells))
		}
		if l := c.Classify(Input{Text: cells[2], Language: cells[1]}); string(l.Polarity) != cells[3] {
			t.Errorf("languages.tsv:%d: %q: %s is %s (score %.2f), want %s", i+1, cells[0], cells[2], l.Polarity, l.Score, cells[3])
		}
	}
}

// TestCases holds the classifier to the claims of testdata/cases.tsv.
func TestCases(t *testing.T) {
	c := mustLoad(t)
	raw, err := os.ReadFile("testdata/cases.tsv")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i, line := range strings.Split(string(raw), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cells := strings.Split(line, "\t")
		if len(cells) != 3 {
			t.Fatalf("cases.tsv:%d: %d columns, want 3", i+1, len(cells))
		}
		n++
		t.Run(cells[0], func(t *testing.T) {
			l := c.Classify(Input{Text: cells[1]})
			for _, want := range strings.Fields(cells[2]) {
				if fault := unmet(&l, want); fault != "" {
					t.Errorf("cases.tsv:%d: %q: want %s, %s\nlabels: %+v", i+1, cells[1], want, fault, l)
				}
			}
		})
	}
	if n < 120 {
		t.Errorf("%d cases, want at least 120", n)
	}
}

// unmet returns why one expectation does not hold, "" if it does.
func unmet(l *schemas.Labels, want string) string {
	if key, limit, ok := strings.Cut(want, "<"); ok && key == "churn" {
		if f, _ := strconv.ParseFloat(limit, 64); float64(l.ChurnRisk) < f {
			return ""
		}
		return fmt.Sprint("got ", l.ChurnRisk)
	}
	key, value, _ := strings.Cut(want, "=")
	key, not := strings.CutPrefix(key, "!")
	got, ok := "", false
	switch key {
	case "polarity":
		got = string(l.Polarity)
	case "sentiment":
		got = string(l.Sentiment)
	case "intent":
		got = string(l.Intent)
	case "element":
		got = string(l.Element)
	case "lang":
		got = l.Language
	case "quality":
		got = string(l.Quality)
	case "urgency":
		got = string(l.Urgency)
	case "response":
		got = strconv.FormatBool(l.ResponseNeeded)
	case "effort":
		got = string("-0+"[sign(float32(l.Effort))+1])
	case "churn":
		f, _ := strconv.ParseFloat(value, 64)
		got, ok = fmt.Sprint(l.ChurnRisk), float64(l.ChurnRisk) >= f
	case "m":
		var ms []string
		for _, m := range l.Mentions {
			ms = append(ms, fmt.Sprintf("%s/%s/%s/%c", m.Element, m.Facet, m.S5, "-0+"[sign(m.Polarity)+1]))
		}
		got = strings.Join(ms, ",")
	case "theme", "s5", "facet":
		var all []string
		for _, m := range l.Mentions {
			v := map[string]string{"theme": m.Theme, "s5": string(m.S5), "facet": string(m.Facet)}[key]
			all = append(all, v)
			ok = ok || v == value
		}
		got = strings.Join(all, ",")
	default:
		return "the test does not know " + key
	}
	if ok = ok || got == value; ok == not {
		return "got " + got
	}
	return ""
}

func sign(x float32) int {
	switch {
	case x < 0:
		return -1
	case x > 0:
		return 1
	}
	return 0
}

// What is said of the words alone never looks at the rating; where there are no words to read, it is nothing.
func TestTheWordsAloneSpeakForThemselves(t *testing.T) {
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "…", "It broke after a day and nobody answered.", "Wonderful, thank you!", "Das Paket kam am Dienstag an.", "qwrtz ⟨⟩", "ᚠᚢᚦᚨᚱᚲ"} {
		var first schemas.Labels
		for i, rating := range []schemas.Score{{}, {Value: -1, Valid: true}, {Value: 1, Valid: true}} {
			l := c.Classify(Input{Text: text, Rating: rating})
			if i == 0 {
				first = l
			}
			if l.SentimentText != first.SentimentText {
				t.Errorf("%q: %q by itself, %q beside a rating of %v", text, first.SentimentText, l.SentimentText, rating.Value)
			}
			if l.SentimentText != "" && (l.SentimentText != l.Polarity || l.Score != first.Score) {
				t.Errorf("%q: words %q, polarity %q, score %v and %v", text, l.SentimentText, l.Polarity, first.Score, l.Score)
			}
		}
		if text == "" && first.SentimentText != "" {
			t.Errorf("no words are %q", first.SentimentText)
		}
	}
}
