package classify

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"
)

var (
	fitFiles  = flag.String("fit", "", "comma-separated labelled JSONL files: learn data/weights.tsv and the English rows of data/model.tsv from them")
	fitRate   = flag.Float64("fit-rate", 0.15, "step size")
	fitDecay  = flag.Float64("fit-decay", 2e-5, "L2 decay per step")
	fitDrop   = flag.Float64("fit-drop", 0.4, "share of words left out in a step")
	fitEpochs = flag.Int("fit-epochs", 12, "passes over the rows")
)

// fitRow is one row ready to learn from.
type fitRow struct {
	dense  [denseCount]float32
	words  []int32
	label  int
	weight float64
}

// fitSource is a labelled row with the weight of its file.
type fitSource struct {
	row    evalRow
	weight float64
}

// readSources reads the files named by -fit. A name may carry a weight ("file.jsonl*0.5") and a fixed label
// ("file.jsonl=neutral").
func readSources(t *testing.T, list string) (rows []fitSource) {
	for _, spec := range strings.Split(list, ",") {
		name, label, _ := strings.Cut(spec, "=")
		weight := 1.0
		if n, w, ok := strings.Cut(name, "*"); ok {
			name = n
			fmt.Sscanf(w, "%g", &weight)
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		rs, err := readRows(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			if label != "" {
				r.Label = label
			}
			rows = append(rows, fitSource{r, weight})
		}
	}
	return rows
}

// learn is logistic regression (AdaGrad, word dropout) over the rows; it returns the weights with the names of the words.
func learn(t *testing.T, rows []fitSource) (names []string, words [][3]float64, dense [denseCount][3]float64, n int) {
	c, names := fitVocabulary(t, func(yield func(string)) {
		for _, r := range rows {
			yield(r.row.Text)
		}
	})
	a := c.newAnalysis()
	a.keepIDs = true
	var train []fitRow
	for _, r := range rows {
		label, ok := map[string]int{"negative": 0, "neutral": 1, "positive": 2}[r.row.Label]
		if !ok {
			continue
		}
		a.read(r.row.Text)
		v := a.document()
		train = append(train, fitRow{v.dense, append([]int32(nil), a.ids...), label, r.weight})
	}
	words, dense = logistic(train, len(c.words))
	return names, words, dense, len(train)
}

// TestFitLearnsWordsItHasNeverSeen holds the learner to rows of which the answer is known. With -fit it learns from the
// named files instead and writes the weights into data, which is how they were made.
func TestFitLearnsWordsItHasNeverSeen(t *testing.T) {
	if *fitFiles != "" {
		names, words, dense, n := learn(t, readSources(t, *fitFiles))
		writeFit(t, names, words, dense, n)
		return
	}
	var rows []fitSource
	for i := range 300 {
		for label, word := range map[string]string{"negative": "zonkish", "neutral": "middling", "positive": "blorpish"} {
			rows = append(rows, fitSource{evalRow{Text: fmt.Sprintf("this %s thing number %d", word, i), Label: label}, 1})
		}
	}
	sort.Slice(rows, func(i, j int) bool { return rows[i].row.Text < rows[j].row.Text })
	names, words, _, _ := learn(t, rows)
	for word, class := range map[string]int{"zonkish": 0, "middling": 1, "blorpish": 2} {
		at := slices.Index(names, word)
		if at < 0 {
			t.Fatalf("%s is not among the %d words learned", word, len(names))
		}
		for k, w := range words[at] {
			if (w > 0) != (k == class) {
				t.Errorf("%s: weights %.3f, want only class %d above zero", word, words[at], class)
			}
		}
	}
}

// logistic is AdaGrad on the cross entropy.
func logistic(train []fitRow, n int) (words [][3]float64, dense [denseCount][3]float64) {
	words = make([][3]float64, n)
	gw := make([][3]float64, n)
	var gd [denseCount][3]float64
	rng := rand.New(rand.NewPCG(1, 2))
	var ids []int32
	for epoch := range *fitEpochs {
		rng.Shuffle(len(train), func(i, j int) { train[i], train[j] = train[j], train[i] })
		loss := 0.0
		for r := range train {
			row := &train[r]
			ids = ids[:0]
			for _, id := range row.words {
				if rng.Float64() >= *fitDrop {
					ids = append(ids, id)
				}
			}
			scale := 1 / math.Sqrt(math.Max(1, float64(len(ids))))
			var z [3]float64
			for i := range denseCount {
				for k := range 3 {
					z[k] += float64(row.dense[i]) * dense[i][k]
				}
			}
			for _, id := range ids {
				for k := range 3 {
					z[k] += scale * words[id][k]
				}
			}
			p := softmax(z)
			loss -= math.Log(math.Max(p[row.label], 1e-9))
			var g [3]float64
			for k := range 3 {
				g[k] = p[k] * row.weight
			}
			g[row.label] -= row.weight
			for i := range denseCount {
				if x := float64(row.dense[i]); x != 0 {
					for k := range 3 {
						d := g[k]*x + *fitDecay*dense[i][k]
						gd[i][k] += d * d
						dense[i][k] -= *fitRate * d / math.Sqrt(1e-6+gd[i][k])
					}
				}
			}
			for _, id := range ids {
				for k := range 3 {
					d := g[k]*scale + *fitDecay*10*words[id][k]
					gw[id][k] += d * d
					words[id][k] -= *fitRate * d / math.Sqrt(1e-2+gw[id][k])
				}
			}
		}
		if *fitFiles != "" {
			fmt.Printf("epoch %d loss %.4f\n", epoch, loss/float64(len(train)))
		}
	}
	return words, dense
}

// fitVocabulary loads the data files with an empty weight table and adds every word and pair of words that is frequent. It
// returns their names by id, "!" before the negated.
func fitVocabulary(t *testing.T, each func(func(string))) (*Classifier, []string) {
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.table.nodes {
		c.table.nodes[i].word = -1
	}
	c.words = nil
	count := map[string]int{}
	a := c.newAnalysis()
	each(func(text string) {
		a.read(text)
		for _, seg := range a.segments {
			for i := seg.first; i < seg.last; i++ {
				if a.tokens[i].kind != wordToken {
					continue
				}
				w := plain(text[a.tokens[i].start:a.tokens[i].end])
				count[w]++
				if i+1 < seg.last && a.tokens[i+1].kind == wordToken {
					count[w+" "+plain(text[a.tokens[i+1].start:a.tokens[i+1].end])]++
				}
			}
		}
	})
	var names, ids []string
	for w, n := range count {
		if pair := strings.Contains(w, " "); !pair && n >= 4 || pair && n >= 6 {
			names = append(names, w)
		}
	}
	sort.Strings(names)
	for _, w := range names {
		seq := hashes(w)
		if len(seq) != 1+strings.Count(w, " ") {
			continue
		}
		n := &c.table.nodes[c.table.path(seq)]
		if n.word < 0 {
			n.word = int32(len(c.words))
			c.words = append(c.words, [3]float32{}, [3]float32{})
			ids = append(ids, w, "!"+w)
		}
	}
	return c, ids
}

// plain is a token as it is written in weights.tsv.
func plain(s string) string {
	s = strings.ToLower(s)
	var b strings.Builder
	var last rune
	run := 0
	for _, r := range s {
		if r == '\'' || r == '’' || r == 'ʼ' || r == '|' || r == '/' || r == '#' {
			continue
		}
		if r == last {
			if run++; run >= 3 {
				continue
			}
		} else {
			last, run = r, 1
		}
		b.WriteRune(r)
	}
	return b.String()
}

func writeFit(t *testing.T, names []string, words [][3]float64, dense [denseCount][3]float64, rows int) {
	var b strings.Builder
	fmt.Fprintf(&b, "# Learned words: what a word or a pair of words adds to the log odds of each class, in thousandths; \"!word\": the word\n"+
		"# where it is negated. Logistic regression on %d rows, see SOURCES.md; written by go test -run TestFit -fit=FILES.\n"+
		"# word\tnegative\tneutral\tpositive\n", rows)
	kept := 0
	for i, w := range words {
		mean := (w[0] + w[1] + w[2]) / 3
		for k := range 3 {
			w[k] -= mean
		}
		if math.Max(math.Abs(w[0]), math.Max(math.Abs(w[1]), math.Abs(w[2]))) < 0.12 {
			continue
		}
		kept++
		fmt.Fprintf(&b, "%s\t%.0f\t%.0f\t%.0f\n", names[i], w[0]*1000, w[1]*1000, w[2]*1000)
	}
	if err := os.WriteFile("data/weights.tsv", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%d rows, %d of %d weights kept\n", rows, kept, len(words))
	raw, err := os.ReadFile("data/model.tsv")
	if err != nil {
		t.Fatal(err)
	}
	b.Reset()
	for _, line := range strings.SplitAfter(string(raw), "\n") {
		if !strings.HasPrefix(line, "en\t") {
			b.WriteString(line)
		}
	}
	for i, name := range denseNames {
		fmt.Fprintf(&b, "en\t%s\t%.4f\t%.4f\t%.4f\n", name, dense[i][0], dense[i][1], dense[i][2])
	}
	if err := os.WriteFile("data/model.tsv", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
