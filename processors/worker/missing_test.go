package worker

import (
	"fmt"
	"testing"

	"github.com/earshot/earshot/schemas"
)

func TestRangesAreGatheredInWindows(t *testing.T) {
	r := func(lo, hi uint64) schemas.Range { return schemas.Range{Lo: lo, Hi: hi} }
	everyThird := make([]schemas.Range, 100)
	for i := range everyThird {
		everyThird[i] = r(uint64(3*i+2), uint64(3*i+2))
	}
	for _, c := range []struct {
		claim  string
		ranges []schemas.Range
		want   string // lo–hi:count of each window of at most 100
	}{
		{"none", nil, ""},
		{"one alone", []schemas.Range{r(7, 7)}, "7–7:1 "},
		{"many that are near each other make one", everyThird[:30], "2–89:30 "},
		{"a window is never longer than it may be", everyThird, "2–101:34 104–203:34 206–299:32 "},
		{"a long range is cut", []schemas.Range{r(1, 250)}, "1–100:100 101–200:100 201–250:50 "},
		{"a cut range goes on with its neighbours", []schemas.Range{r(50, 160), r(170, 180)}, "50–149:100 150–180:22 "},
		{"what is far apart stays apart", []schemas.Range{r(1, 2), r(1000, 1001)}, "1–2:2 1000–1001:2 "},
	} {
		got := ""
		for _, w := range windows(c.ranges, 100) {
			got += fmt.Sprintf("%d–%d:%d ", w.lo, w.hi, w.count)
			var n uint64
			for _, m := range w.missing {
				n += m.Hi - m.Lo + 1
			}
			if n != w.count || w.missing[0].Lo != w.lo || w.missing[len(w.missing)-1].Hi != w.hi {
				t.Errorf("%s: %d–%d holds %v", c.claim, w.lo, w.hi, w.missing)
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.claim, got, c.want)
		}
	}
}
