package privacy

import (
	"bufio"
	_ "embed" // the shipped patterns
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

//go:embed patterns/national_ids.tsv
var shippedIDs string

//go:embed patterns/ibans.tsv
var shippedIBANs string

//go:embed patterns/words.tsv
var shippedWords string

//go:embed patterns/fields.tsv
var shippedFields string

//go:embed patterns/spoken.tsv
var shippedSpoken string

// pattern is one kind of number that a state gives to people.
type pattern struct {
	expr   *regexp.Regexp
	digits int               // the fewest it has
	check  func(string) bool // of the number without separators, in capitals
	words  []string          // one of them must stand near before the number; none: it is known by itself
}

// nearBytes is how far before a number the words that say what it is are looked for.
const nearBytes = 48

// expected says whether the words that the pattern asks for stand before the number.
func (p *pattern) expected(before string) bool {
	if len(p.words) == 0 {
		return true
	}
	for _, w := range p.words {
		for at := 0; ; {
			i := strings.Index(before[at:], w)
			if i < 0 {
				break
			}
			if at += i; at == 0 || !letter(w[0]) || !letter(before[at-1]) { // "since" does not say "sin"
				return true
			}
			at += len(w)
		}
	}
	return false
}

// lines yields the columns of a file of patterns and their line; comments and empty lines are left out.
func lines(r io.Reader, columns int, each func(line int, cells []string) error) error {
	in := bufio.NewScanner(r)
	for n := 1; in.Scan(); n++ {
		text := strings.TrimRight(in.Text(), "\r")
		if strings.TrimSpace(text) == "" || strings.HasPrefix(text, "#") {
			continue
		}
		cells := strings.Split(text, "\t")
		if len(cells) != columns {
			return fmt.Errorf("line %d has %d columns: %d are wanted, separated by tabs", n, len(cells), columns)
		}
		if err := each(n, cells); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return in.Err()
}

func readPatterns(r io.Reader) (out []pattern, err error) {
	err = lines(r, 6, func(_ int, cells []string) error {
		expr, err := regexp.Compile(cells[2])
		if err != nil {
			return fmt.Errorf("pattern %s: %w", cells[0], err)
		}
		check, ok := checks()[cells[4]]
		if !ok {
			return fmt.Errorf("pattern %s: there is no check %q; use none where there is no check digit", cells[0], cells[4])
		}
		digits, err := strconv.Atoi(cells[3])
		if err != nil || digits < fewestDigits {
			return fmt.Errorf("pattern %s: %q is no number of digits from %d on", cells[0], cells[3], fewestDigits)
		}
		p := pattern{expr: expr, digits: digits, check: check}
		if cells[5] != "-" {
			p.words = strings.Split(strings.ToLower(cells[5]), ",")
		}
		out = append(out, p)
		return nil
	})
	return out, err
}

func readLengths(text string) (map[string]int, error) {
	out := map[string]int{}
	err := lines(strings.NewReader(text), 2, func(_ int, cells []string) (err error) {
		out[cells[0]], err = strconv.Atoi(cells[1])
		return err
	})
	return out, err
}

func readWords(text string) (map[string]Type, error) {
	out := map[string]Type{}
	err := lines(strings.NewReader(text), 2, func(_ int, cells []string) error {
		for _, w := range strings.Fields(cells[1]) {
			out[w] = Type(cells[0])
		}
		return nil
	})
	return out, err
}

func readFields(text string) (map[string]Type, error) {
	out := map[string]Type{}
	err := lines(strings.NewReader(text), 2, func(_ int, cells []string) error {
		out[cells[0]] = Type(cells[1])
		return nil
	})
	return out, err
}

// readSpoken reads words by what they are in an address that is written out.
func readSpoken(text string) (map[string]map[string]bool, error) {
	out := map[string]map[string]bool{}
	err := lines(strings.NewReader(text), 2, func(_ int, cells []string) error {
		if out[cells[0]] == nil {
			out[cells[0]] = map[string]bool{}
		}
		for _, w := range strings.Fields(cells[1]) {
			out[cells[0]][w] = true
		}
		return nil
	})
	return out, err
}
