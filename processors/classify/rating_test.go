package classify

import (
	"os"
	"strings"
	"testing"
)

// TestRatings holds the reading of ratings in a text to testdata/ratings.tsv.
func TestRatings(t *testing.T) {
	raw, err := os.ReadFile("testdata/ratings.tsv")
	if err != nil {
		t.Fatal(err)
	}
	a := mustLoad(t).newAnalysis()
	for i, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		if strings.HasPrefix(line, "# ") {
			continue
		}
		text, want, ok := strings.Cut(line, "\t")
		if !ok {
			t.Fatalf("ratings.tsv:%d: no tab", i+1)
		}
		a.read(text, "")
		var got []string
		for i := range a.tokens {
			tok := &a.tokens[i]
			if tok.rated != 0 {
				got = append(got, strings.TrimPrefix(rateNames[tok.rate()], "#")+"("+text[tok.start:a.tokens[int32(i)+tok.rateTokens()-1].end]+")")
			}
		}
		if len(got) == 0 {
			got = []string{"none"}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("ratings.tsv:%d: %q: read %s, want %s", i+1, text, s, want)
		}
	}
}
