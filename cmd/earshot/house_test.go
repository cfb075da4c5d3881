package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "github.com/earshot/earshot"

// longest is the most lines a file of code may have; tests may be longer.
const longest = 450

// TestTheHouseIsInOrder holds the whole tree to the rules of the house and names every breach at once.
func TestTheHouseIsInOrder(t *testing.T) {
	tree := os.DirFS("../..")
	if _, err := fs.Stat(tree, "cmd/earshot/house_test.go"); err != nil {
		t.Fatalf("this is not the top of the tree: %v", err)
	}
	for _, breach := range inspect(tree) {
		t.Error(breach)
	}
}

// A house test that finds nothing could be blind, so each rule is shown a breach of it.
func TestEveryHouseRuleFindsItsBreach(t *testing.T) {
	const doc = "// Package x does one thing.\npackage x\n"
	for _, c := range []struct {
		claim string
		path  string
		text  string
		want  string // "": this is allowed
	}{
		{"schemas imports nothing of ours", "schemas/a.go", doc + imports(module+"/ingest/stream"), "may not import ingest/stream"},
		{"schemas may import schemas", "schemas/sql/a.go", doc + imports(module+"/schemas"), ""},
		{"ingest does not know sinks", "ingest/x/a.go", doc + imports(module+"/sinks/clickhouse"), "may not import sinks/clickhouse"},
		{"siblings do not know each other", "ingest/gateway/a.go", doc + imports(module+"/ingest/stream"), "may not import ingest/stream"},
		{"a step does not know another step", "processors/dedup/a.go", doc + imports(module+"/processors/classify"), "may not import processors/classify"},
		{"the worker knows the steps", "processors/worker/a.go", doc + imports(module+"/processors/classify"), ""},
		{"a part of the worker knows the steps", "processors/worker/remote/a.go", "// Package remote does one thing.\npackage remote\n" + imports(module+"/processors/classify"), ""},
		{"the worker does not know the store", "processors/worker/a.go", doc + imports(module+"/sinks/clickhouse"), "may not import sinks/clickhouse"},
		{"the store does not start the engine", "sinks/clickhouse/a.go", doc + imports(module+"/sinks/clickhouse/engine"), "may not import sinks/clickhouse/engine"},
		{"a child may know what it is part of", "ingest/channels/mail/a.go", doc + imports(module+"/ingest/channels"), ""},
		{"the engine's test server knows its engine", "sinks/clickhouse/engine/enginetest/a.go", doc + imports(module+"/sinks/clickhouse/engine"), ""},
		{"code does not import test servers", "cmd/earshot/a.go", doc + imports(module+"/sinks/clickhouse/engine/enginetest"), "may not import sinks/clickhouse/engine/enginetest"},
		{"cmd may import every room", "cmd/earshot/a.go", doc + imports(module+"/sinks/clickhouse/engine"), ""},
		{"tests may import across", "ingest/stream/a_test.go", "package stream_test\n" + imports(module+"/sinks/clickhouse/engine"), ""},
		{"one place runs nats-server", "cmd/earshot/a.go", doc + imports("github.com/nats-io/nats-server/v2/server"), "may not import github.com/nats-io/nats-server"},
		{"the broker runs nats-server", "ingest/broker/a.go", doc + imports("github.com/nats-io/nats-server/v2/server"), ""},
		{"one place loads the engine library", "sinks/clickhouse/a.go", doc + imports("github.com/ebitengine/purego"), "may not import github.com/ebitengine/purego"},
		{"the engine loads its library", "sinks/clickhouse/engine/a.go", doc + imports("github.com/ebitengine/purego"), ""},
		{"a step has no log", "processors/measure/a.go", doc + imports("github.com/rs/zerolog"), "may not import github.com/rs/zerolog"},
		{"a step has no clock", "processors/measure/a.go", doc + "import \"time\"\nvar t = time.Now()\n", "calls time.Now"},
		{"only cmd reads the environment", "ingest/x/a.go", doc + "import \"os\"\nvar v = os.Getenv(\"X\")\n", "calls os.Getenv"},
		{"only cmd looks the environment up", "ingest/x/a.go", doc + "import \"os\"\nvar v, _ = os.LookupEnv(\"X\")\n", "calls os.LookupEnv"},
		{"cmd reads the environment", "cmd/earshot/a.go", doc + "import \"os\"\nvar v = os.Environ()\n", ""},
		{"only main exits", "ingest/x/a.go", doc + "import \"os\"\nfunc f() { os.Exit(1) }\n", "calls os.Exit"},
		{"a package has a doc comment", "ingest/x/a.go", "package x\n", "has no package comment"},
		{"a package comment begins with the name", "ingest/x/a.go", "// It does one thing.\npackage x\n", "has no package comment"},
		{"exported functions are documented", "ingest/x/a.go", doc + "func F() {}\n", "F has no doc comment"},
		{"exported methods are documented", "ingest/x/a.go", doc + "// T is a thing.\ntype T int\nfunc (t *T) M() {}\n", "T.M has no doc comment"},
		{"methods of unexported types need no comment", "ingest/x/a.go", doc + "type t int\nfunc (t) M() {}\n", ""},
		{"exported types are documented", "ingest/x/a.go", doc + "type T struct{}\n", "T has no doc comment"},
		{"exported constants are documented", "ingest/x/a.go", doc + "const C = 1\n", "C has no doc comment"},
		{"a group's comment counts for its members", "ingest/x/a.go", doc + "// Limits.\nconst (\n\tA = 1\n\tB = 2\n)\n", ""},
		{"a comment at the end of the line counts", "ingest/x/a.go", doc + "const (\n\tA = 1 // bytes\n)\n", ""},
		{"there is no init", "ingest/x/a.go", doc + "func init() {}\n", "has an init function"},
		{"package variables are not written", "ingest/x/a.go", doc + "var n int\nfunc f() { n++ }\n", "writes the package variable n"},
		{"maps of the package are not written", "ingest/x/a.go", doc + "var m = map[int]int{}\nfunc f() { m[1] = 2 }\n", "writes the package variable m"},
		{"package variables are not written from another file", "ingest/x/b.go", "package x\nfunc g() { shared = 1 }\n", "writes the package variable shared"},
		{"locals may have the name of a package variable", "ingest/x/a.go", doc + "var n int\nfunc f() { n := 1; n++; _ = n }\n", ""},
		{"a lock in a package variable is state", "ingest/x/a.go", doc + "import \"sync\"\nvar mu sync.Mutex\n", "mu holds state"},
		{"files are short", "ingest/x/a.go", doc + strings.Repeat("// more\n", longest), "has 452 lines"},
		{"tests may be long", "ingest/x/a_test.go", "package x\n" + strings.Repeat("// more\n", longest), ""},
		{"there are no drawers", "ingest/helpers/a.txt", "", "helpers is a name that says nothing"},
		{"the top is fixed", "lib/a.txt", "", "lib does not belong at the top"},
		{"dotfiles may stand at the top", ".editorconfig", "", ""},
		{"tests are not skipped", "ingest/x/a_test.go", "package x\nimport \"testing\"\nfunc TestX(t *testing.T) { t.Skip() }\n", "skips a test"},
		{"nothing is left to do", "ingest/x/a.go", doc + "// TO" + "DO: more\n", "is not finished"},
	} {
		tree := fstest.MapFS{c.path: {Data: []byte(c.text)}}
		if path.Base(c.path) == "b.go" {
			tree[path.Dir(c.path)+"/a.go"] = &fstest.MapFile{Data: []byte(doc + "var shared int\n")}
		}
		got := inspect(tree)
		switch {
		case c.want == "" && len(got) > 0:
			t.Errorf("%s: allowed, but found %q", c.claim, got)
		case c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)):
			t.Errorf("%s: want one breach with %q, found %q", c.claim, c.want, got)
		}
	}
}

func imports(p string) string { return "import _ " + strconv.Quote(p) + "\n" }

// top lists what may stand at the top beside dotfiles, and beside what .gitignore names.
var top = []string{"cmd", "ingest", "processors", "sinks", "schemas", "deploy", "go.mod", "go.sum", "docker-compose.yml",
	"Dockerfile", "README.md", "LICENSE", "CHANGELOG.md", "earshot", "earshot-data"}

// drawers are folder names under which anything could be put.
var drawers = []string{"internal", "pkg", "util", "utils", "common", "models", "helpers", "handlers", "services"}

// inspect returns the breaches of the house rules in the tree, sorted.
func inspect(tree fs.FS) []string {
	h := &house{tree: tree, set: token.NewFileSet(), packages: map[string][]*source{}}
	if err := fs.WalkDir(tree, ".", h.visit); err != nil {
		h.found(".", "cannot be read: %v", err)
	}
	for _, dir := range sortedKeys(h.packages) {
		h.inspectPackage(dir, h.packages[dir])
	}
	slices.Sort(h.breaches)
	return h.breaches
}

type house struct {
	tree     fs.FS
	set      *token.FileSet
	packages map[string][]*source // by folder
	breaches []string
}

type source struct {
	path string
	test bool // a _test.go file, or part of a package that exists for tests
	*ast.File
}

func (h *house) found(where, format string, args ...any) {
	h.breaches = append(h.breaches, where+" "+fmt.Sprintf(format, args...))
}

func (h *house) visit(p string, d fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	name := path.Base(p)
	if d.IsDir() && p != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" || p == "earshot-data") {
		return fs.SkipDir
	}
	if p != "." && !strings.Contains(p, "/") && !strings.HasPrefix(name, ".") && !slices.Contains(top, name) {
		h.found(p, "does not belong at the top of the tree; put it into the room that uses it")
		return nil
	}
	if d.IsDir() && slices.Contains(drawers, name) {
		h.found(p, "is a drawer: %s is a name that says nothing", name)
	}
	if !strings.HasSuffix(name, ".go") {
		return nil
	}
	text, err := fs.ReadFile(h.tree, p)
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(h.set, p, text, parser.ParseComments)
	if err != nil {
		h.found(p, "cannot be parsed: %v", err)
		return nil
	}
	dir := path.Dir(p)
	s := &source{path: p, test: strings.HasSuffix(name, "_test.go") || strings.HasSuffix(dir, "test"), File: file}
	h.packages[dir] = append(h.packages[dir], s)
	if n := strings.Count(string(text), "\n"); n > longest && !s.test {
		h.found(p, "has %d lines, at most %d are allowed: split it by what it does", n, longest)
	}
	return nil
}

func (h *house) inspectPackage(dir string, files []*source) {
	documented, code := false, false
	vars := map[string]*ast.ValueSpec{}
	for _, s := range files {
		code = code || !strings.HasSuffix(s.path, "_test.go")
		doc := s.Doc.Text()
		documented = documented || strings.HasPrefix(doc, "Package "+s.Name.Name+" ") || strings.HasPrefix(doc, "Command ")
		if !s.test {
			packageVars(s.File, vars)
		}
	}
	if code && !documented {
		h.found(dir, "has no package comment that begins with its name")
	}
	for _, s := range files {
		h.inspectComments(s)
		h.inspectCalls(dir, s)
		if s.test && !strings.HasSuffix(dir, "test") {
			continue // tests may import across and write what they like
		}
		h.inspectImports(dir, s)
		h.inspectDeclarations(s)
		if !s.test {
			h.inspectVars(s, vars)
		}
	}
}

func (h *house) inspectComments(s *source) {
	for _, group := range s.Comments {
		for _, mark := range []string{"TO" + "DO", "FIX" + "ME", "not imple" + "mented"} {
			if strings.Contains(group.Text(), mark) {
				h.found(s.path, "is not finished: it says %q", mark)
			}
		}
	}
}

// pure says whether a package is a function of its arguments: no network, no log, no clock.
func pure(dir string) bool {
	room, rest, _ := strings.Cut(dir, "/")
	return room == "schemas" || room == "processors" && rest != "worker" && !strings.HasPrefix(rest, "worker/")
}

// homes are the libraries that one place alone may use.
var homes = map[string]string{
	"github.com/nats-io/nats-server": "ingest/broker",
	"github.com/ebitengine/purego":   "sinks/clickhouse/engine",
}

// impure are what a pure package may not import.
var impure = []string{"github.com/rs/zerolog", "github.com/nats-io/", "github.com/ClickHouse/", "github.com/prometheus/", "net/http", "os/exec", "log"}

func (h *house) inspectImports(dir string, s *source) {
	for _, spec := range s.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		if ours, ok := strings.CutPrefix(p, module+"/"); ok {
			if !mayImport(dir, ours) {
				h.found(s.path, "may not import %s", ours)
			}
			continue
		}
		for library, home := range homes {
			if strings.HasPrefix(p, library) && dir != home {
				h.found(s.path, "may not import %s; that is for %s", p, home)
			}
		}
		if pure(dir) && slices.ContainsFunc(impure, func(q string) bool { return p == q || strings.HasSuffix(q, "/") && strings.HasPrefix(p, q) }) {
			h.found(s.path, "may not import %s: the package is a pure one", p)
		}
	}
}

// mayImport is the direction of imports: schemas ← ingest, processors, sinks ← cmd, within a room from a part to what it
// is a part of, and from the worker to the steps it runs.
func mayImport(from, to string) bool {
	room, _, _ := strings.Cut(from, "/")
	switch {
	case strings.HasSuffix(to, "test"):
		return false
	case room == "cmd", strings.HasPrefix(to+"/", "schemas/"):
		return true
	case strings.HasPrefix(from+"/", "processors/worker/"):
		return strings.HasPrefix(to, "processors/")
	}
	return strings.HasPrefix(from, to+"/")
}

// calls are functions that only some may call, and who.
var calls = map[string]func(dir string) bool{
	"os.Getenv":      inCmd,
	"os.LookupEnv":   inCmd,
	"os.Environ":     inCmd,
	"os.ExpandEnv":   inCmd,
	"syscall.Getenv": inCmd,
	"os.Exit":        inCmd,
	"log.Fatal":      inCmd,
	"signal.Notify":  inCmd,
	"time.Now":       func(dir string) bool { return !pure(dir) },
	"time.Since":     func(dir string) bool { return !pure(dir) },
}

func inCmd(dir string) bool { return strings.HasPrefix(dir, "cmd/") }

func (h *house) inspectCalls(dir string, s *source) {
	ast.Inspect(s.File, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if s.test {
			// One helper may: it tells of programs beside Go that a fresh machine lacks, and .ci/run installs them.
			if slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) && s.path != "cmd/earshot/harness_test.go" {
				h.found(s.path, "skips a test on line %d: what a test needs must be there", h.set.Position(call.Pos()).Line)
			}
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok {
			name := x.Name + "." + sel.Sel.Name
			if may, limited := calls[name]; limited && !may(dir) {
				h.found(s.path, "calls %s on line %d, which is not for it", name, h.set.Position(call.Pos()).Line)
			}
		}
		return true
	})
}

func (h *house) inspectDeclarations(s *source) {
	undocumented := func(name string) { h.found(s.path, "%s has no doc comment", name) }
	for _, d := range s.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv == nil && name == "init" {
				h.found(s.path, "has an init function: do it where it can be seen")
			}
			if d.Recv != nil {
				owner := receiver(d.Recv.List[0].Type)
				if !ast.IsExported(owner) {
					continue
				}
				name = owner + "." + name
			}
			if d.Name.IsExported() && d.Doc == nil {
				undocumented(name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					if spec.Name.IsExported() && spec.Doc == nil && d.Doc == nil {
						undocumented(spec.Name.Name)
					}
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						if name.IsExported() && spec.Doc == nil && spec.Comment == nil && d.Doc == nil {
							undocumented(name.Name)
						}
					}
				}
			}
		}
	}
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// packageVars adds the file's package variables.
func packageVars(f *ast.File, vars map[string]*ast.ValueSpec) {
	for _, d := range f.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
			for _, spec := range g.Specs {
				v := spec.(*ast.ValueSpec)
				for _, name := range v.Names {
					vars[name.Name] = v
				}
			}
		}
	}
}

// inspectVars finds package variables that are written, or that are there to be: locks, pools, atomics. What is changed
// through a pointer or by a method it cannot see.
func (h *house) inspectVars(s *source, vars map[string]*ast.ValueSpec) {
	written := func(e ast.Expr) {
		name := root(e)
		if name == nil {
			return
		}
		spec, ok := vars[name.Name]
		// A name of this file is resolved by the parser; one of another file is left open.
		if ok && (name.Obj == nil || name.Obj.Decl == spec) {
			h.found(s.path, "writes the package variable %s on line %d: pass it in instead", name.Name, h.set.Position(name.Pos()).Line)
		}
	}
	ast.Inspect(s.File, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, e := range n.Lhs {
					written(e)
				}
			}
		case *ast.IncDecStmt:
			written(n.X)
		case *ast.RangeStmt:
			if n.Tok == token.ASSIGN {
				written(n.Key)
				written(n.Value)
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && slices.Contains([]string{"delete", "clear", "copy"}, f.Name) {
				written(n.Args[0])
			}
		}
		return true
	})
	own := map[string]*ast.ValueSpec{}
	packageVars(s.File, own)
	for _, name := range sortedKeys(own) {
		stateful := false
		ast.Inspect(own[name], func(n ast.Node) bool {
			if _, ok := n.(*ast.FuncLit); ok {
				return false // what a function makes when it runs is its own
			}
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && (x.Name == "sync" || x.Name == "atomic") && !strings.HasPrefix(sel.Sel.Name, "Once") {
					stateful = true
				}
			}
			return true
		})
		if stateful {
			h.found(s.path, "%s holds state of the package: put it into a value that is passed in", name)
		}
	}
}

// root is the variable that an assignment to e changes, nil where that is not to be seen.
func root(e ast.Expr) *ast.Ident {
	switch e := e.(type) {
	case *ast.Ident:
		return e
	case *ast.SelectorExpr:
		return root(e.X)
	case *ast.IndexExpr:
		return root(e.X)
	case *ast.ParenExpr:
		return root(e.X)
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
