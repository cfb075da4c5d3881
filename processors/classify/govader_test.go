package classify

import (
	"syscall"
	"testing"
	"time"

	"github.com/jonreiter/govader"

	"github.com/earshot/earshot/schemas"
)

// BenchmarkBesideGovader reads the same texts with both in turn: polarity, all heads and all mentions here, polarity alone
// there. It reports how many times as many texts this classifier reads in a second of processor time, which other work on
// the machine shortens less than a second of the clock.
func BenchmarkBesideGovader(b *testing.B) {
	for name, texts := range map[string][]string{"cases": tweets(b), "hundred characters": {hundredCharacters}} {
		b.Run(name, func(b *testing.B) { besideGovader(b, texts) })
	}
}

func besideGovader(b *testing.B, texts []string) {
	c := mustLoad(b)
	other := govader.NewSentimentIntensityAnalyzer()
	var took [2]time.Duration
	n := 0
	passes := 3000 / len(texts) // the processor time is counted in steps that one pass would not fill
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
