package classify

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/jonreiter/govader"

	"github.com/earshot/earshot/schemas"
)

var rowsFile = flag.String("rows", "testdata/gold.jsonl", "labelled texts that polarity is measured on beside govader")

// TestBesideGovader measures both on the same rows: by the compound at ±0.05, as VADER's authors cut it, or by its sign where
// the rows know no neutral. Anyone's rows can be read: go test ./processors/classify -run BesideGovader -v -rows FILE.
func TestBesideGovader(t *testing.T) {
	file, err := os.ReadFile(*rowsFile)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := mustLoad(t).Evaluate(bytes.NewReader(file), AxisPolarity, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := new(Report).read(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	analyzer := govader.NewSentimentIntensityAnalyzer()
	count := map[[2]string]int{}
	theirs := Report{}
	for _, row := range rows {
		label, ok := axisLabels[AxisPolarity][row.label(AxisPolarity)]
		if !ok {
			continue
		}
		theirs.N++
		x := analyzer.PolarityScores(*row.Text).Compound
		got := "neutral"
		switch {
		case x >= 0.05 || ours.TwoClass && x > 0:
			got = "positive"
		case x <= -0.05 || ours.TwoClass:
			got = "negative"
		}
		count[[2]string{label, got}]++
	}
	theirs.tally(count)
	line := func(r *Report) string {
		return fmt.Sprintf("accuracy %.3f, macro-F1 %.3f, macro-recall %.3f of %d rows", r.Accuracy, r.MacroF1, r.MacroRecall, r.N)
	}
	t.Logf("%s\ngovader: %s\nours:    %s", *rowsFile, line(&theirs), line(&ours))
	if ours.MacroF1 <= theirs.MacroF1 {
		t.Errorf("govader reads these rows as well: macro-F1 %.3f, ours %.3f", theirs.MacroF1, ours.MacroF1)
	}
}

// BenchmarkBesideGovader reads the same texts with both in turn: polarity, all heads and all mentions here, polarity alone
// there. It reports how many times as many texts this classifier reads in a second of processor time, which other work on
// the machine shortens less than a second of the clock. The flag -rows has it read other rows than the gold ones.
func BenchmarkBesideGovader(b *testing.B) {
	file, err := os.ReadFile(*rowsFile)
	if err != nil {
		b.Fatal(err)
	}
	rows, err := new(Report).read(bytes.NewReader(file))
	if err != nil {
		b.Fatal(err)
	}
	var labelled []string
	for _, row := range rows {
		labelled = append(labelled, *row.Text)
	}
	for name, texts := range map[string][]string{"cases": tweets(b), "rows": labelled, "hundred characters": {hundredCharacters}} {
		b.Run(name, func(b *testing.B) { besideGovader(b, texts) })
	}
}

func besideGovader(b *testing.B, texts []string) {
	c := mustLoad(b)
	other := govader.NewSentimentIntensityAnalyzer()
	var took [2]time.Duration
	n := 0
	passes := max(1, 3000/len(texts)) // the processor time is counted in steps that one pass would not fill
	var l schemas.Labels
	for b.Loop() {
		for i, read := range [2]func(string){
			func(s string) { c.ClassifyInto(Input{Text: s, Language: "en"}, &l) },
			func(s string) { other.PolarityScores(s) },
		} {
			start := used(b)
			for range passes {
				for _, s := range texts {
					read(s)
				}
			}
			took[i] += used(b) - start
		}
		n += passes * len(texts)
	}
	b.ReportMetric(float64(took[1])/float64(took[0]), "×govader")
	b.ReportMetric(float64(took[0].Microseconds())/float64(n), "µs/text")
	b.ReportMetric(float64(took[1].Microseconds())/float64(n), "govader-µs/text")
}

// used is the processor time that the process has taken.
func used(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
