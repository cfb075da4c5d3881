package train

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/earshot/earshot/processors/classify"
)

// Source is one file of labelled rows in a plan.
type Source struct {
	Head    string            // sentiment, intent, element, stage, junk or churn
	Use     string            // train; join: joined to longer texts; dev: held back for the temperature; test: measured on; hold: rows that nothing may be learned from
	File    string            // name within the folder of data
	Labels  map[string]string // label of the file → class; nil: as they are; "*": every row
	Weight  float64           // of a row
	Licence string
	Origin  string
}

// ReadPlan reads a plan: seven columns with tabs between, in the order of [Source]; "-" is no entry, "# " a comment.
func ReadPlan(r io.Reader) ([]Source, error) {
	var out []Source
	err := classify.EachLine(r, func(n int, line []byte) error {
		if strings.HasPrefix(string(line), "# ") {
			return nil
		}
		src, err := readSource(string(line))
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		out = append(out, src)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("plan, %w", err)
	}
	if len(out) == 0 {
		return nil, errors.New("plan: it names no file")
	}
	return out, nil
}

func readSource(line string) (Source, error) {
	c := strings.Split(line, "\t")
	if len(c) != 7 {
		return Source{}, fmt.Errorf("%d columns, want 7 with tabs between", len(c))
	}
	for i := range c {
		c[i] = strings.TrimSpace(c[i])
	}
	src := Source{Head: c[0], Use: c[1], File: c[2], Licence: c[5], Origin: c[6]}
	if _, ok := classesOf(src.Head); !ok || src.Use != "train" && src.Use != "join" && src.Use != "dev" && src.Use != "test" && src.Use != "hold" {
		return Source{}, fmt.Errorf("head %q or use %q is unknown; heads are sentiment, intent, element, stage, junk, churn, uses train, join, dev, test and hold", c[0], c[1])
	}
	if c[3] != "-" {
		src.Labels = map[string]string{}
		for _, pair := range strings.Split(c[3], ",") {
			from, to, ok := strings.Cut(pair, "=")
			if !ok {
				return Source{}, fmt.Errorf("%q is no label=class", pair)
			}
			src.Labels[classify.PlainLabel(from)] = classify.PlainLabel(to)
		}
	}
	w, err := strconv.ParseFloat(c[4], 64)
	if err != nil || !(w > 0) || math.IsInf(w, 0) {
		return Source{}, fmt.Errorf("weight %q is no number above 0", c[4])
	}
	src.Weight = w
	return src, nil
}

// Row is one labelled text.
type Row struct {
	Text   string  `json:"text"`
	Label  string  `json:"label"`
	Lang   string  `json:"lang"`
	Weight float64 `json:"-"`
	source string  // its set, by the address or name before the first comma of the plan's origin
	line   int     // in its file
}

// join makes longer texts of short ones, two to four in a row after a shuffle that is always the same. What one says for and
// the other against is neutral as a whole, as in many reviews and as in few single sentences.
func join(rows []Row) (out []Row) {
	rng := rand.New(rand.NewPCG(5, 3))
	rows = slices.Clone(rows)
	rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	sign := map[string]int{"negative": -1, "positive": 1}
	for n := 0; len(rows) >= 4; rows = rows[n:] {
		n = 2 + rng.IntN(3)
		r := rows[0]
		sum := 0
		r.Text, r.Label = "", "neutral"
		for _, part := range rows[:n] {
			text := strings.TrimSpace(part.Text)
			if text != "" && !strings.ContainsRune(".!?", rune(text[len(text)-1])) {
				text += "."
			}
			r.Text += text + " "
			sum += sign[part.Label]
		}
		switch {
		case 2*sum >= n:
			r.Label = "positive"
		case 2*sum <= -n:
			r.Label = "negative"
		}
		out = append(out, r)
	}
	return out
}

// ReadRows reads labelled JSONL, {"text":…,"label":…,"lang":…} a line, and returns the first 16 hex digits of its SHA-256.
// Labels come without blanks around them, in lower case.
func ReadRows(r io.Reader) ([]Row, string, error) {
	h := sha256.New()
	var rows []Row
	err := classify.EachLine(io.TeeReader(r, h), func(n int, line []byte) error {
		row := Row{line: n}
		if err := classify.DecodeLine(line, &row); err != nil {
			return fmt.Errorf("line %d: %w; each line must be {\"text\":…,\"label\":…}", n, err)
		}
		row.Label = classify.PlainLabel(row.Label)
		rows = append(rows, row)
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return rows, hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// class returns the class of a label, false where the source leaves it out.
func (s *Source) class(label string) (string, bool) {
	if s.Labels == nil {
		return label, true
	}
	if to, ok := s.Labels["*"]; ok {
		return to, true
	}
	to, ok := s.Labels[label]
	return to, ok
}

// plainText is a text without case, addresses, names and punctuation: two rows alike in it are one row.
func plainText(s string) string {
	var b strings.Builder
	for _, w := range strings.Fields(strings.ToLower(s)) {
		if strings.HasPrefix(w, "@") || strings.HasPrefix(w, "http") || strings.HasPrefix(w, "www.") {
			continue
		}
		n := b.Len()
		for _, r := range w {
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				b.WriteRune(r)
			}
		}
		if b.Len() > n {
			b.WriteByte(' ')
		}
	}
	return b.String()
}
