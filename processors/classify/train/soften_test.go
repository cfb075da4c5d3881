package train

import (
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
)

// TestSoftnessIsFoundAgain makes rows whose labels are as often right as three known numbers say, and asks for the numbers.
func TestSoftnessIsFoundAgain(t *testing.T) {
	want := softness{1.4, 0.5, 2}
	var rows []stranger
	for _, several := range []float64{0, 1} {
		for _, mixed := range []float64{0, 0.3} {
			for _, z := range []float64{0.5, 2, 4} {
				r := stranger{z: [3]float64{0, 0, z}, several: several, mixed: mixed}
				p := r.z
				for k := range p {
					p[k] /= want.temperature * want.grown(&r)
				}
				softmax(p[:])
				for k := range p { // each label as heavy as it is likely
					r.label, r.weight = k, p[k]
					rows = append(rows, r)
				}
			}
		}
	}
	got := fitSoftness(rows)
	for _, x := range [][2]float64{{got.temperature, want.temperature}, {got.several, want.several}, {got.mixed, want.mixed}} {
		if math.Abs(x[0]-x[1]) > 0.02 {
			t.Errorf("found %+v, want %+v", got, want)
		}
	}
}

// TestTheTemperatureIsThatOfStrangers makes two sources whose words contradict each other, and one that agrees with the first. A
// model that has seen them all is right about the rows held back; one that has not seen a source is wrong about it, and its
// odds must be worth less for that.
func TestTheTemperatureIsThatOfStrangers(t *testing.T) {
	c, _ := trained(t)
	source := func(words [3]string, origin string, n int) (out []Row) {
		for i := range n {
			for k, word := range words {
				out = append(out, Row{Text: fmt.Sprintf("the %s thing number %d is here", word, i), Label: headClasses[0].Classes[k], Lang: "en", Weight: 1, source: origin})
			}
		}
		return out
	}
	words, turned := [3]string{"zonkish", "middling", "blorpish"}, [3]string{"blorpish", "zonkish", "middling"}
	fit := func(second [3]string) softness {
		s := &corpus{train: append(source(words, "one", 60), source(second, "two", 60)...), dev: source(words, "one", 5)}
		o := DefaultOptions()
		o.Runs = 1
		out := outside(c, fitSentiment(c, s.train, o), s, o, func(string, ...any) {})
		if len(out) != 15+180+15+180 {
			t.Fatalf("%d rows read, want those of both sources and those held back twice", len(out))
		}
		all := 0.0
		for _, r := range out {
			all += r.weight
		}
		if math.Abs(all-3) > 1e-9 {
			t.Errorf("the rows weigh %v, want 1 for each source and for those held back", all)
		}
		return fitSoftness(out)
	}
	if agree, contradict := fit(words), fit(turned); contradict.temperature < 2*agree.temperature {
		t.Errorf("temperature %.2f where the sources agree, %.2f where they contradict each other", agree.temperature, contradict.temperature)
	}
}

// TestASourceAloneOrOfOneClassIsNoStranger keeps the temperature of the rows held back where there is nobody to leave out.
func TestASourceAloneOrOfOneClassIsNoStranger(t *testing.T) {
	c, _ := trained(t)
	p, err := ReadPlan(strings.NewReader(plan + "sentiment\ttrain\tc.jsonl\t*=neutral\t1\tours\tothers\n"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"a.jsonl": rows(20), "b.jsonl": rows(3), "c.jsonl": rows(4)}
	open := func(name string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(files[name])), nil }
	corpora, _, err := gather(p, open)
	if err != nil {
		t.Fatal(err)
	}
	s := corpora["sentiment"]
	o := DefaultOptions()
	o.Runs = 1
	if out := outside(c, fitSentiment(c, s.train, o), s, o, func(string, ...any) {}); out != nil {
		t.Errorf("%d rows of strangers, want none", len(out))
	}
}
