package train

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"unicode"
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
	s := bufio.NewScanner(r)
	for line := 1; s.Scan(); line++ {
		if strings.TrimSpace(s.Text()) == "" || strings.HasPrefix(s.Text(), "# ") {
			continue
		}
		c := strings.Split(s.Text(), "\t")
		if len(c) != 7 {
			return nil, fmt.Errorf("plan, line %d: %d columns, want 7 with tabs between", line, len(c))
		}
		src := Source{Head: c[0], Use: c[1], File: c[2], Licence: c[5], Origin: c[6]}
		if _, ok := classesOf(src.Head); !ok || src.Use != "train" && src.Use != "join" && src.Use != "dev" && src.Use != "test" && src.Use != "hold" {
			return nil, fmt.Errorf("plan, line %d: head %q or use %q is unknown; heads are sentiment, intent, element, stage, junk, churn, uses train, join, dev, test and hold", line, c[0], c[1])
		}
		if c[3] != "-" {
			src.Labels = map[string]string{}
			for _, pair := range strings.Split(c[3], ",") {
				from, to, ok := strings.Cut(pair, "=")
				if !ok {
					return nil, fmt.Errorf("plan, line %d: %q is no label=class", line, pair)
				}
				src.Labels[from] = to
			}
		}
		w, err := strconv.ParseFloat(c[4], 64)
		if err != nil || w <= 0 {
			return nil, fmt.Errorf("plan, line %d: weight %q is no number above 0", line, c[4])
		}
		src.Weight = w
		out = append(out, src)
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("plan: read: %w", err)
	}
	if len(out) == 0 {
		return nil, errors.New("plan: it names no file")
	}
	return out, nil
}

// Row is one labelled text.
type Row struct {
	Text   string  `json:"text"`
	Label  string  `json:"label"`
	Lang   string  `json:"lang"`
	Weight float64 `json:"-"`
	source string  // its set, by the address or name before the first comma of the plan's origin
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
func ReadRows(r io.Reader) ([]Row, string, error) {
	h := sha256.New()
	s := bufio.NewScanner(io.TeeReader(r, h))
	s.Buffer(make([]byte, 64<<10), 4<<20)
	var rows []Row
	for line := 1; s.Scan(); line++ {
		if strings.TrimSpace(s.Text()) == "" {
			continue
		}
		var row Row
		if err := json.Unmarshal(s.Bytes(), &row); err != nil {
			return nil, "", fmt.Errorf("line %d: %w; each line must be {\"text\":…,\"label\":…}", line, err)
		}
		rows = append(rows, row)
	}
	if err := s.Err(); err != nil {
		return nil, "", fmt.Errorf("read: %w", err)
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
