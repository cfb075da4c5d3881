package sql

import (
	"io/fs"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func objects() []Object { return slices.Concat(Bookkeeping(), Tables(), Views(), []Object{Probe()}) }

func TestEveryFileIsListed(t *testing.T) {
	listed := map[string]bool{}
	for _, o := range objects() {
		listed[o.Path] = true
	}
	for _, q := range Queries() {
		listed["queries/"+q.Name+".sql"] = true
		listed["usual/"+q.Name+".sql"] = q.usual != nil
	}
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !listed[path] {
			t.Errorf("%s is in no list, so nobody will ever run it", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryFileSaysWhyFirst(t *testing.T) {
	for path := range allFiles(t) {
		if !strings.HasPrefix(read(path), "-- ") {
			t.Errorf("%s does not begin with a comment", path)
		}
	}
}

func allFiles(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, dir := range []string{"tables", "views", "queries", "usual"} {
		list, err := fs.ReadDir(files, dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			out[dir+"/"+f.Name()] = true
		}
	}
	return out
}

func TestEveryStatementMayRunTwice(t *testing.T) {
	for _, o := range objects() {
		body := bare(o.SQL)
		head := strings.Join(strings.Fields(body)[:6], " ") + " "
		if !strings.HasPrefix(head, "CREATE TABLE IF NOT EXISTS "+o.Name+" ") && !strings.HasPrefix(head, "CREATE OR REPLACE VIEW "+o.Name+" ") &&
			!strings.HasPrefix(head, "CREATE OR REPLACE TABLE "+o.Name+" ") && !addsOnly(body, o.Name) {
			t.Errorf("%s does not begin with a CREATE or a change of %s that may run twice", o.Path, o.Name)
		}
		if strings.Contains(regexp.MustCompile(`'(?:\\.|[^'\\])*'|-- .*`).ReplaceAllString(body, ""), ";") {
			t.Errorf("%s holds more than one statement", o.Path)
		}
	}
}

// addsOnly says whether a statement does nothing to a table but add columns that are not there.
func addsOnly(body, table string) bool {
	first, lines, _ := strings.Cut(body, "\n")
	for line := range strings.Lines(lines) {
		if !strings.HasPrefix(strings.TrimSpace(line), "ADD COLUMN IF NOT EXISTS ") {
			return false
		}
	}
	return first == "ALTER TABLE "+table && lines != ""
}

func TestVersionsAreInOrderAndUnique(t *testing.T) {
	last := uint32(0)
	for _, o := range append(Tables(), Views()...) {
		if o.Version <= last {
			t.Errorf("%s has version %d after %d", o.Path, o.Version, last)
		}
		last = o.Version
	}
	for _, o := range Tables() {
		if o.Version > 1000 {
			t.Errorf("table %s has version %d: tables stay below 1001", o.Name, o.Version)
		}
	}
}

func TestHashOverlooksCommentsOnly(t *testing.T) {
	if bare("-- why\nCREATE x\n") != bare("-- a better why\n-- of two lines\nCREATE x") {
		t.Error("a better comment is a changed migration")
	}
	if bare("CREATE x") == bare("CREATE y") {
		t.Error("another statement is not a changed migration")
	}
}

func TestLiveNamesTheGeneration(t *testing.T) {
	if got := Live(7); !strings.Contains(got, "generation = 7") || strings.Contains(got, liveMark) {
		t.Errorf("got %s", got)
	}
	// Every generation is of the same events, so the last hour heard of is that of all rows, which the server knows without
	// reading one.
	const lastHour = "(SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)"
	for _, o := range Views() {
		if o.Name != "feedback_current" && regexp.MustCompile(`\bFROM feedback\b`).MatchString(strings.ReplaceAll(o.SQL, lastHour, "")) {
			t.Errorf("%s reads the table past the live generation", o.Name)
		}
	}
}

func TestQueriesDeclareWhatTheyUse(t *testing.T) {
	use := regexp.MustCompile(`\{(\w+):(\w+(?:\([^)]*\))?)\}`)
	for _, q := range Queries() {
		if q.Doc == "" || !strings.HasPrefix(q.SQL, "SELECT") && !strings.HasPrefix(q.SQL, "WITH") {
			t.Errorf("%s: doc %q, SQL %.20q", q.Name, q.Doc, q.SQL)
		}
		used := map[string]string{}
		for _, m := range use.FindAllStringSubmatch(q.SQL, -1) {
			used[m[1]] = m[2]
		}
		for _, p := range q.Params {
			if used[p.Name] != p.Type || p.Doc == "" {
				t.Errorf("%s declares %s %s (%q), its SQL uses it as %q", q.Name, p.Name, p.Type, p.Doc, used[p.Name])
			}
			delete(used, p.Name)
		}
		for name := range used {
			t.Errorf("%s uses %s without declaring it", q.Name, name)
		}
		if found, err := Find(q.Name); err != nil || found.SQL != q.SQL {
			t.Errorf("%s is not found by its name: %v", q.Name, err)
		}
	}
	if _, err := Find("colour"); err == nil || !strings.Contains(err.Error(), "worst_themes") {
		t.Errorf("an unknown name gives %v, want an error that lists the names", err)
	}
}

func TestHeaderOfAQueryIsTakenApart(t *testing.T) {
	q := parseQuery("q", "-- What is it?\n-- Two lines.\n-- param a String = : one\n-- param b DateTime64(3, 'UTC') = 2000-01-01 00:00:00: two: three\n-- param c String in x|y = x: three\n-- param d String as zone = UTC: four\n-- setting s_1 = 0: quicker\nSELECT {a:String} -- inside\n")
	want := []Param{{Name: "a", Type: "String", Doc: "one"}, {Name: "b", Type: "DateTime64(3, 'UTC')", Default: "2000-01-01 00:00:00", Doc: "two: three"},
		{Name: "c", Type: "String", Among: []string{"x", "y"}, Default: "x", Doc: "three"}, {Name: "d", Type: "String", Form: "zone", Default: "UTC", Doc: "four"}}
	if q.Doc != "What is it? Two lines." || !reflect.DeepEqual(q.Params, want) || !maps.Equal(q.Settings, map[string]string{"s_1": "0"}) || q.SQL != "SELECT {a:String} -- inside" {
		t.Errorf("got %+v", q)
	}
}

func TestTheFactTableIsReadApart(t *testing.T) {
	selects, keys := Projection()
	if !strings.HasPrefix(selects, "SELECT") || !strings.HasSuffix(selects, "countIf(response_needed)") || !strings.HasPrefix(keys, "generation, ") || strings.Count(selects, "(") != strings.Count(selects, ")") {
		t.Errorf("the projection was not found whole: %q by %q", selects, keys)
	}
	got := Settings()
	for name, want := range map[string]string{"fsync_after_insert": "1", "non_replicated_deduplication_window": "10000", "lightweight_mutation_projection_mode": "rebuild", "min_bytes_for_wide_part": "134217728"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if len(got) != 7 {
		t.Errorf("%d settings, want 7: %v", len(got), got)
	}
}
