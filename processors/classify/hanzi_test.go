package classify

import (
	"strings"
	"testing"
)

// TestTraditionalCharactersAreReadAsTheOthers holds traditional.tsv to its form, and that no character stands on both sides.
func TestTraditionalCharactersAreReadAsTheOthers(t *testing.T) {
	raw, err := embedded.ReadFile("data/traditional.tsv")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[rune]bool{}
	for i, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		if strings.HasPrefix(line, "# ") {
			continue
		}
		plain, forms, ok := strings.Cut(line, "\t")
		if r := []rune(plain); !ok || len(r) != 1 || simplified(r[0]) != r[0] {
			t.Errorf("traditional.tsv:%d: %q is no character that stands for itself", i+1, plain)
			continue
		}
		for _, r := range forms {
			if seen[r] || scriptOf(r) != scriptHan || simplified(r) != []rune(plain)[0] {
				t.Errorf("traditional.tsv:%d: %q is no Chinese character, or stands twice", i+1, r)
			}
			seen[r] = true
		}
	}
	if a, b := hashes("服務態度很差"), hashes("服务态度很差"); len(a) != 6 || !equalHashes(a, b) {
		t.Errorf("hashes %v and %v", a, b)
	}
}

func equalHashes(a, b []uint64) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}
