package train

import (
	"io"
	"strings"
	"testing"
)

func TestTheCardSaysHowTheModelDoesOnWhatWasHeldBack(t *testing.T) {
	_, h := trained(t)
	if len(h.Card.Scores) != 1 {
		t.Fatalf("scores %+v, want one of the file held back", h.Card.Scores)
	}
	if s := h.Card.Scores[0]; s.File != "b.jsonl" || s.Axis != "sentiment dev" || s.Rows != 60 || s.Acc < 0.9 {
		t.Errorf("score %+v of made-up words that were learned", s)
	}
}

// TestASourceLeftOutIsNotLearnedFrom makes two sources whose words contradict each other: a head that had seen the rows left
// out would know them.
func TestASourceLeftOutIsNotLearnedFrom(t *testing.T) {
	c, h := trained(t)
	p, err := ReadPlan(strings.NewReader("stage\ttrain\ta.jsonl\t-\t1\tours\tone, a\nstage\ttrain\tb.jsonl\t-\t1\tours\ttwo, b\n"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"a.jsonl": "", "b.jsonl": ""}
	for i, label := range [2]string{"presale", "aftersale"} {
		for _, n := range []string{"one", "two", "three", "four", "five", "six", "seven", "eight"} {
			word := [2]string{"grunkle", "skrimble"}
			files["a.jsonl"] += `{"text":"the ` + word[i] + ` thing number ` + n + `","label":"` + label + `","lang":"en"}` + "\n"
			files["b.jsonl"] += `{"text":"a ` + word[1-i] + ` matter ` + n + `","label":"` + label + `","lang":"en"}` + "\n"
		}
	}
	open := func(name string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(files[name])), nil }
	o := DefaultOptions()
	o.TopicDecay, o.TopicPull = 1e-6, 1e-6
	left, err := LeaveOut(c.With(h), p, open, o)
	if err != nil || len(left) != 2 {
		t.Fatalf("%+v, %v: want two sources", left, err)
	}
	for _, s := range left {
		if s.Axis != "stage left out" || s.Rows != 16 || s.Acc > 0.5 {
			t.Errorf("%+v: the words of the other source say the opposite", s)
		}
	}
}

func TestJoinedRowsSayWhatMostOfThemSay(t *testing.T) {
	var rows []Row
	for range 40 {
		rows = append(rows, Row{Text: "bad", Label: "negative"}, Row{Text: "good!", Label: "positive"})
	}
	got := join(rows)
	seen := map[string]int{}
	for _, r := range got {
		plus, minus := strings.Count(r.Text, "good!"), strings.Count(r.Text, "bad.")
		want := "neutral"
		if n := plus + minus; 2*(plus-minus) >= n {
			want = "positive"
		} else if 2*(minus-plus) >= n {
			want = "negative"
		}
		if plus+minus < 2 || plus+minus > 4 || r.Label != want {
			t.Errorf("%q is %s, want %s", r.Text, r.Label, want)
		}
		seen[r.Label]++
	}
	if len(seen) != 3 {
		t.Errorf("labels %v, want all three", seen)
	}
	if again := join(rows); again[0].Text != got[0].Text || len(again) != len(got) {
		t.Error("the shuffle differs from call to call")
	}
}
