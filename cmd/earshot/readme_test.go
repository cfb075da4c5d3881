package main

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/earshot/earshot/processors/classify"
)

var update = flag.Bool("update", false, "rewrite the parts of README.md that are made from the code")

const readme = "../../README.md"

// The README's configuration table, folder tree and list of commands are what the code says. With -update they are
// rewritten; the comments of the folder tree are kept.
func TestReadmeIsWhatTheCodeSays(t *testing.T) {
	text := readText(t, readme)
	tree, err := folders(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	old, err := block(text, "tree")
	if err != nil {
		t.Fatal(err)
	}
	comments := treeComments(old)
	for _, dir := range tree {
		if comments[dir] == "" {
			t.Errorf("README.md: the folder tree does not say what %s/ is for", dir)
		}
	}
	next := text
	for _, b := range []struct{ name, want string }{
		{"configuration", configurationTable()},
		{"commands", commandList()},
		{"tree", treeText(tree, comments)},
	} {
		found, err := block(next, b.name)
		if err != nil {
			t.Error(err)
			continue
		}
		if found == b.want {
			continue
		}
		if next, err = replaceBlock(next, b.name, b.want); err != nil {
			t.Error(err)
		}
		if !*update {
			t.Errorf("README.md: the %s is not what the code says; run: go test ./cmd/earshot -run Readme -update\nfound:\n%s\nwant:\n%s", b.name, found, b.want)
		}
	}
	if *update && next != text {
		if err := os.WriteFile(readme, []byte(next), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// What the README and the decisions point at is there.
func TestDocumentsPointAtWhatIsThere(t *testing.T) {
	files := append(decisionFiles(t), readme, "../../CHANGELOG.md")
	link := regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)
	for _, file := range files {
		for _, m := range link.FindAllStringSubmatch(readText(t, file), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

// Variables and metrics that the documents name exist.
func TestDocumentsNameWhatExists(t *testing.T) {
	var known []string
	for _, v := range (&Config{}).variables() {
		known = append(known, v.Name)
	}
	var code strings.Builder
	err := fs.WalkDir(os.DirFS("../.."), ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(p, ".go") && !strings.HasSuffix(p, "_test.go") {
			code.WriteString(readText(t, filepath.Join("../..", p)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(decisionFiles(t), readme) {
		text := readText(t, file)
		for _, name := range regexp.MustCompile(`EARSHOT_[A-Z_]+`).FindAllString(text, -1) {
			if !slices.Contains(known, name) {
				t.Errorf("%s: there is no variable %s", file, name)
			}
		}
		for _, name := range regexp.MustCompile(`earshot_[a-z0-9_]+`).FindAllString(text, -1) {
			if !strings.Contains(code.String(), `"`+name+`"`) {
				t.Errorf("%s: there is no metric %s", file, name)
			}
		}
	}
}

// The figures of the classifier in the README are those of the model in the program: whoever changes rules or weights measures
// again. The gold rows are here, so that their figures are held too.
func TestReadmeMeasuredTheModelInTheProgram(t *testing.T) {
	c := shipped(t)
	text := readText(t, readme)
	if want := "`" + c.Model() + "`"; !strings.Contains(text, want) {
		t.Errorf("README.md does not name the model %s: measure again with earshot evaluate, then write figures and name", want)
	}
	var gold []byte
	for _, file := range []string{"gold.jsonl", "gold.written.jsonl"} {
		gold = append(gold, readText(t, "../../processors/classify/testdata/"+file)...)
	}
	for _, axis := range []classify.Axis{classify.AxisPolarity, classify.AxisElement, classify.AxisIntent, classify.AxisStage, classify.AxisS5} {
		r, err := c.Evaluate(bytes.NewReader(gold), axis, processorTime)
		if err != nil {
			t.Fatal(err)
		}
		name := string(axis)
		if axis == classify.AxisS5 {
			name = "5S"
		}
		row := fmt.Sprintf("| all our rows: %s | %d | – | %s | %s | %s |", name, r.N, decimals(r.Accuracy), decimals(r.MacroF1), decimals(r.MacroRecall))
		if !strings.Contains(text, row) {
			t.Errorf("README.md does not say %s", row)
		}
	}
}

// decimals is a share as the tables write it: .654.
func decimals(x float64) string { return strings.TrimPrefix(fmt.Sprintf("%.3f", x), "0") }

// A decision says in which situation what was chosen instead of what, and what follows, in a length that is read. A new
// reader meets the README first, so that has a bound too.
func TestDecisionsAreNumberedCompleteAndShort(t *testing.T) {
	for i, file := range decisionFiles(t) {
		if want := fmt.Sprintf("%03d-", i+1); !strings.HasPrefix(filepath.Base(file), want) {
			t.Errorf("%s: the number should be %s: decisions are counted without gaps", file, want)
		}
		text := readText(t, file)
		for _, heading := range []string{"# ", "## Context\n", "## Decision\n", "## Options not taken\n", "## Consequences\n"} {
			if !strings.Contains("\n"+text, "\n"+heading) {
				t.Errorf("%s: has no %q", file, strings.TrimSpace(heading))
			}
		}
		if n := strings.Count(text, "\n"); n > 80 {
			t.Errorf("%s: has %d lines, at most 80 are read", file, n)
		}
	}
	text := readText(t, readme)
	if n := strings.Count(text, "\n") - strings.Count(text, "\n|"); n > 480 {
		t.Errorf("README.md has %d lines beside its tables, at most 480 are read", n)
	}
}

func decisionFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../schemas/decisions/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no decisions found: %v", err)
	}
	return files
}

// The functions the tests above stand on, shown what they must tell apart.
func TestBlocksAndFolders(t *testing.T) {
	const text = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n"
	if got, err := block(text, "x"); err != nil || got != "old\n" {
		t.Errorf("block: %q, %v", got, err)
	}
	if got, err := replaceBlock(text, "x", "new\n"); err != nil || got != strings.Replace(text, "old", "new", 1) {
		t.Errorf("replaceBlock: %q, %v", got, err)
	}
	if _, err := block(text, "y"); err == nil {
		t.Error("a block that is not there was found")
	}
	got, err := folders(fstest.MapFS{
		"a/b/c/file": {}, "a/testdata/file": {}, ".git/file": {}, "earshot-data/file": {}, "node_modules/file": {}, "d/empty": {Mode: fs.ModeDir}, "file": {},
	})
	if want := []string{"a", "a/b"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("folders: %q, %v; want %q", got, err, want)
	}
	comments := map[string]string{"a": "the first", "a/b": "its part"}
	if got := treeComments(treeText([]string{"a", "a/b", "c"}, comments)); len(got) != 2 || got["a"] != "the first" || got["a/b"] != "its part" {
		t.Errorf("treeComments: %q", got)
	}
}

func marks(name string) (begin, end string) {
	return "<!-- " + name + " -->\n", "<!-- /" + name + " -->"
}

// block returns what stands between the marks of a name.
func block(text, name string) (string, error) {
	begin, end := marks(name)
	_, rest, ok := strings.Cut(text, begin)
	inner, _, ended := strings.Cut(rest, end)
	if !ok || !ended {
		return "", fmt.Errorf("README.md has no block between %q and %q", strings.TrimSpace(begin), end)
	}
	return inner, nil
}

func replaceBlock(text, name, with string) (string, error) {
	old, err := block(text, name)
	if err != nil {
		return text, err
	}
	begin, end := marks(name)
	return strings.Replace(text, begin+old+end, begin+with+end, 1), nil
}

func configurationTable() string {
	var b strings.Builder
	b.WriteString("| variable | default | what it is |\n|---|---|---|\n")
	for _, v := range (&Config{}).variables() {
		def := "–"
		if v.Default != "" {
			def = "`" + v.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.Name, def, strings.ReplaceAll(v.Doc, "|", "\\|"))
	}
	b.WriteString("| `CHDB_LIB_PATH` | – | path of the ClickHouse engine library; empty: fetched once through npm |\n")
	return b.String()
}

func commandList() string {
	var b bytes.Buffer
	b.WriteString("```\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "earshot %-10s %s\n", c.name, c.summary)
	}
	b.WriteString("```\n")
	return b.String()
}

// folders lists the folders of the first two levels that hold files, without hidden ones, test data and what is ignored.
func folders(tree fs.FS) ([]string, error) {
	seen := map[string]bool{}
	err := fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := path.Base(p)
		if d.IsDir() {
			if p != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" || p == "earshot-data") {
				return fs.SkipDir
			}
			return nil
		}
		parts := strings.Split(path.Dir(p), "/")
		for n := 1; n <= min(len(parts), 2); n++ {
			seen[strings.Join(parts[:n], "/")] = true
		}
		return nil
	})
	delete(seen, ".")
	return sortedKeys(seen), err
}

// treeText draws the folders, each with what it is for.
func treeText(dirs []string, comments map[string]string) string {
	var b strings.Builder
	b.WriteString("```\n")
	for _, dir := range dirs {
		line := strings.Repeat("  ", strings.Count(dir, "/")) + path.Base(dir) + "/"
		b.WriteString(strings.TrimRight(fmt.Sprintf("%-16s %s", line, comments[dir]), " ") + "\n")
	}
	b.WriteString("```\n")
	return b.String()
}

// treeComments reads back what treeText drew.
func treeComments(text string) map[string]string {
	comments := map[string]string{}
	parent := ""
	for _, m := range regexp.MustCompile(`(?m)^( *)([^ /\n]+)/ +(.+)$|^( *)([^ /\n]+)/$`).FindAllStringSubmatch(text, -1) {
		indent, name, comment := m[1]+m[4], m[2]+m[5], m[3]
		if indent == "" {
			parent = name
		} else {
			name = parent + "/" + name
		}
		if comment != "" {
			comments[name] = comment
		}
	}
	return comments
}
