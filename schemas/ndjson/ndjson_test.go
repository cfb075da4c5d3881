package ndjson_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/earshot/earshot/schemas/ndjson"
)

func TestLinesAreReadAsPeopleSaveThem(t *testing.T) {
	const most = 70_000 // more than is read at once
	long := strings.Repeat("x", most+1)
	for _, c := range []struct {
		claim, in string
		want      []string
	}{
		{"no end of line at the end", "a\nb", []string{"1 a", "2 b"}},
		{"byte order mark and CR LF", "\ufeffa\r\n\r\nb\r\n", []string{"1 a", "3 b"}},
		{"a byte order mark in the midst stays", "a\n\ufeffb\n", []string{"1 a", "2 \ufeffb"}},
		{"blanks stay, blank lines go", " a \n \t \n", []string{"1  a "}},
		{"a line that is too long costs itself", "a\n" + long + "\nb", []string{"1 a", "2 too long", "3 b"}},
		{"a last line that is too long", "a\n" + long, []string{"1 a", "2 too long"}},
		{"the longest line", long[1:], []string{"1 " + long[1:]}},
		{"nothing", "", nil},
	} {
		var got []string
		err := ndjson.Each(iotest.HalfReader(strings.NewReader(c.in)), most, func(n int, line []byte) error {
			if line == nil {
				line = []byte("too long")
			}
			got = append(got, fmt.Sprintf("%d %s", n, line))
			return nil
		})
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %.60q, %v; want %.60q", c.claim, got, err, c.want)
		}
	}
	fails := iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("ab")))
	if err := ndjson.Each(fails, most, func(int, []byte) error { return nil }); err == nil || !strings.Contains(err.Error(), "line 1: read: ") {
		t.Errorf("a read that fails: %v", err)
	}
}
