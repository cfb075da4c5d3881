package main

import (
	"strings"
	"testing"
	"testing/iotest"
)

func TestNoCellOfACSVFileIsAFormula(t *testing.T) {
	for in, want := range map[string]string{
		"\"=cmd|' /C calc'!A0\",-1\n":       "\"'=cmd|' /C calc'!A0\",-1\n",
		"-1,+2,\"-1\"\n":                    "-1,+2,\"'-1\"\n", // a number stays a number, a text does not become one
		"\"@SUM(A1)\"\n\"+43 1\"\n":         "\"'@SUM(A1)\"\n\"'+43 1\"\n",
		"\"\tx\",\"\rx\",\"\x00x\"\n":       "\"'\tx\",\"'\rx\",\"'\x00x\"\n",
		"\"she said \"\"=1\"\" -\",\"a=b\"": "\"she said \"\"=1\"\" -\",\"a=b\"", // a quote within a text begins none
		"\"\"\"=1\"\"\"\n":                  "\"\"\"=1\"\"\"\n",
		"\"\",\"=1\"\n":                     "\"\",\"'=1\"\n",
		"1;\"=1\"|\"=2\"\n":                 "1;\"'=1\"|\"'=2\"\n", // whatever the delimiter
		"\"a\n=b\",\"=c\"\n":                "\"a\n=b\",\"'=c\"\n",
		"":                                  "",
	} {
		for _, name := range []string{"in one piece", "byte by byte"} {
			var out strings.Builder
			u := &unformula{w: &out}
			if name == "in one piece" {
				if n, err := u.Write([]byte(in)); err != nil || n != len(in) {
					t.Errorf("%q: %d, %v", in, n, err)
				}
			} else {
				r := iotest.OneByteReader(strings.NewReader(in))
				b := make([]byte, 8)
				for n, err := r.Read(b); err == nil; n, err = r.Read(b) {
					u.Write(b[:n])
				}
			}
			if out.String() != want {
				t.Errorf("%q, %s: %q, want %q", in, name, out.String(), want)
			}
		}
	}
}

// What is asked for as CSV is safe to open; --literal and the other formats are exact.
func TestQueriesAsCSVAreSafeToOpen(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	sql := "SELECT '=1+1' AS text, -1 AS number"
	if _, stderr, code := output(t, earshot(t, dir, "migrate")); code != exitOK {
		t.Fatal(stderr)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--format", "CSVWithNames", sql}, "\"text\",\"number\"\n\"'=1+1\",-1\n"},
		{[]string{sql, "--format", "CSV"}, "\"'=1+1\",-1\n"},
		{[]string{"--literal", "--format", "CSV", sql}, "\"=1+1\",-1\n"},
		{[]string{"--format", "TSV", sql}, "=1+1\t-1\n"},
	} {
		if stdout, stderr, code := output(t, earshot(t, dir, append([]string{"query"}, c.args...)...)); code != exitOK || stdout != c.want {
			t.Errorf("%v: code %d, %q, want %q: %s", c.args, code, stdout, c.want, stderr)
		}
	}
}
