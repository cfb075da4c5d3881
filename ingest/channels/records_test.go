package channels

import (
	"bufio"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func readTable(t *testing.T, text string) (rows []string, table *Table) {
	t.Helper()
	table, err := OpenTable(strings.NewReader(text), "", 0)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	for {
		rec, err := table.Next()
		if err == io.EOF {
			return rows, table
		}
		if err != nil {
			t.Fatal(err)
		}
		if rec.Err != nil {
			rows = append(rows, fmt.Sprintf("%d!", rec.Line))
			continue
		}
		var cells []string
		for _, c := range table.Columns {
			cells = append(cells, rec.Get(c))
		}
		rows = append(rows, fmt.Sprintf("%d:%s", rec.Line, strings.Join(cells, "¦")))
	}
}

func TestTablesAreReadAsPeopleWriteThem(t *testing.T) {
	for _, c := range []struct {
		claim, in string
		want      []string
	}{
		{"commas", "a,b\n1,2\n", []string{"2:1¦2"}},
		{"semicolons with commas in the words", "a;b\nx, y, z;2\nu, v;3\n", []string{"2:x, y, z¦2", "3:u, v¦3"}},
		{"tabs", "a\tb\n1\t2\n", []string{"2:1¦2"}},
		{"pipes", "a|b\n1|2\n", []string{"2:1¦2"}},
		{"no line end at the end", "a,b\n1,2", []string{"2:1¦2"}},
		{"line ends of Windows and blank lines", "a,b\r\n\r\n1,2\r\n", []string{"3:1¦2"}},
		{"a byte order mark", "\xef\xbb\xbfa,b\n1,2\n", []string{"2:1¦2"}},
		{"quotes, and quotes within", "a,b\n\"x, \"\"y\"\"\",2\n", []string{`2:x, "y"¦2`}},
		{"lines within quotes", "a,b\n\"x\ny\n\nz\",2\n3,4\n", []string{"2:x\ny\n\nz¦2", "6:3¦4"}},
		{"a quote within words", "a,b\n5\" screen,2\n", []string{`2:5" screen¦2`}},
		{"too few fields", "a,b\n1\n3,4\n", []string{"2!", "3:3¦4"}},
		{"too many fields", "a,b\n1,2,3\n3,4\n", []string{"2!", "3:3¦4"}},
		{"a quote without an end costs one line", "a,b\n1,\"2\n3,4\n5,6\n", []string{"2!", "3:3¦4", "4:5¦6"}},
		{"also where a later line has quotes", "a,b\n1,\"2\n3,\"4\"\n5,6\n", []string{"2!", "3:3¦4", "4:5¦6"}},
		{"text after a quote", "a,b\n\"1\"x,2\n3,4\n", []string{"2!", "3:3¦4"}},
		{"a line that is too long costs that line", "a,b\n1," + strings.Repeat("x", 2*maxRecordBytes) + "\n3,4\n", []string{"2!", "3:3¦4"}},
		{"also below a quote without an end", "a,b\n1,\"2\n3,4\n" + strings.Repeat("x", 2*maxRecordBytes) + "\n5,6\n", []string{"2!", "3:3¦4", "4!", "5:5¦6"}},
		{"many quotes without an end", "a,b\n" + strings.Repeat("1,\"2\n", 3) + "3,4\n", []string{"2!", "3!", "4!", "5:3¦4"}},
		{"a very long line without an end", "a,b\n1,2\n" + strings.Repeat("x", 2*maxRecordBytes), []string{"2:1¦2", "3!"}},
		{"NULs and bytes that are nothing", "a,b\n\x00,\x01\n3,4\n", []string{"2:\x00¦\x01", "3:3¦4"}},
		{"windows-1252", "a,b\nGr\xfc\xdfe,\x80\n", []string{"2:Grüße¦€"}},
		{"only the head", "a,b\n", nil},
	} {
		if got, _ := readTable(t, c.in); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.claim, got, c.want)
		}
	}
}

func TestMailBoxesAreReadMailByMail(t *testing.T) {
	for claim, c := range map[string]struct {
		in   string
		want []string
	}{
		"two mails":                      {"From a Sun\nSubject: x\n\nbody\n\nFrom b Sun\nSubject: y\n\nmore\n", []string{"Subject: x\n\nbody\n\n", "Subject: y\n\nmore\n"}},
		"a line that begins with From":   {"From a Sun\nSubject: x\n\nbody\nFrom the box\n\n>From here\n", []string{"Subject: x\n\nbody\nFrom the box\n\nFrom here\n"}},
		"nothing":                        {"", nil},
		"no end of line at the very end": {"From a Sun\nSubject: x\n\nbody", []string{"Subject: x\n\nbody"}},
	} {
		box := OpenMailBox(strings.NewReader(c.in))
		var got []string
		for {
			rec, err := box.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, rec.Raw)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", claim, got, c.want)
		}
	}
}

// No input makes reading fail, stop or lose its place: lines only ever go up.
func FuzzTable(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "a;b\n\"x\n\";1\n", "\xff\xfea\x00,\x00", "a\n\"", "a,b\n\"\"\"\n\",\"\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		table, err := OpenTable(strings.NewReader(s), "", 0)
		if err != nil {
			return
		}
		last := 0
		for n := 0; n <= len(s); n++ {
			rec, err := table.Next()
			if err != nil {
				return
			}
			if rec.Line <= last {
				t.Fatalf("line %d after %d", rec.Line, last)
			}
			last = rec.Line
			if rec.Err == nil {
				rec.Get("a")
			}
		}
		t.Fatal("more records than bytes")
	})
}

// A line without an end does not fill the memory: of JSON lines and mails as of tables.
func TestALineWithoutAnEndIsCut(t *testing.T) {
	in := bufio.NewReader(io.MultiReader(strings.NewReader("ab\n"), io.LimitReader(endless{}, 64<<20), strings.NewReader("\nc\n")))
	for i, want := range []struct {
		length int
		long   bool
	}{{3, false}, {1000, true}, {2, false}} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		line, long, err := boundedLine(in, 1000)
		runtime.ReadMemStats(&after)
		if err != nil || len(line) != want.length || long != want.long {
			t.Errorf("line %d: %d bytes, long %v, %v", i, len(line), long, err)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
			t.Errorf("line %d: %d KiB were allocated", i, grown>>10)
		}
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}
