package engine

import (
	"fmt"
	"slices"
	"strings"
)

// verbs are the statements an analyst may begin.
var verbs = map[string]bool{"SELECT": true, "WITH": true, "FROM": true, "EXPLAIN": true, "SHOW": true, "DESCRIBE": true,
	"DESC": true, "EXISTS": true}

// statements are what the parser calls those that are allowed, and what may stand in an EXPLAIN.
var statements = map[string]bool{"SelectWithUnionQuery": true, "SelectIntersectExceptQuery": true, "SelectQuery": true, "TablesInSelectQuery": true,
	"DescribeQuery": true, "ShowTables": true, "ShowColumns": true, "ShowIndexes": true, "ShowFunctions": true,
	"ShowCreateTableQuery": true, "ShowCreateViewQuery": true, "ExistsTableQuery": true, "ExistsViewQuery": true, "Explain": true}

// harmless are the table functions that make rows of nothing, or only name what is looked at again inside.
var harmless = map[string]bool{"numbers": true, "numbers_mt": true, "zeros": true, "zeros_mt": true, "values": true,
	"null": true, "format": true, "view": true, "generaterandom": true, "generateseries": true, "generate_series": true,
	"primes": true, "sqlstandardvalues": true}

// catalogue is what may be read beside the database: what clients look at to show tables and columns and to complete what
// is typed. Nothing in it tells of other people's statements, of the machine, or of its files.
var catalogue = map[string]bool{"one": true, "numbers": true, "numbers_mt": true, "zeros": true, "zeros_mt": true,
	"databases": true, "tables": true, "columns": true, "functions": true, "settings": true, "formats": true,
	"data_type_families": true, "table_engines": true, "table_functions": true, "keywords": true, "time_zones": true,
	"collations": true, "aggregate_function_combinators": true, "database_engines": true, "build_options": true,
	"parts": true, "parts_columns": true, "projections": true, "data_skipping_indices": true, "schemata": true,
	"views": true, "key_column_usage": true, "referential_constraints": true, "statistics": true, "constraints": true,
	"completions": true, "documentation": true, "licenses": true, "contributors": true}

// closedFunctions asks the engine for the functions that reach beyond the rows: files, other servers, dictionaries, models,
// the machine, what others run, and all that somebody defined; and for those that work on one row for minutes and look at no
// clock meanwhile. Table functions come after them, so that who is asked for by name alone can be told.
const closedFunctions = `SELECT lower(name), 'function' FROM system.functions WHERE origin != 'System'
	OR categories IN ('Introspection', 'Dictionary', 'Embedded Dictionary', 'Machine Learning', 'AI')
	OR lower(name) IN ('file', 'joinget', 'joingetornull', 'catboostevaluate', 'evalmlmethod', 'sleep', 'sleepeachrow', 'getmacro', 'getserversetting',
		'getserverport', 'tcpport', 'getclienthttpheader', 'showcertificate', 'hascolumnintable', 'generateserialid', 'fqdn', 'fullhostname',
		'filesystemavailable', 'filesystemcapacity', 'filesystemunreserved', 'getoskernelversion', 'serveruuid', 'zookeepersessionuptime',
		'aigenerate', 'aiclassify', 'aiextract', 'aitranslate', 'aiembed',
		'editdistance', 'editdistanceutf8', 'levenshteindistance', 'levenshteindistanceutf8', 'dameraulevenshteindistance',
		'jarosimilarity', 'jarowinklersimilarity', 'stringjaccardindex', 'stringjaccardindexutf8')
	UNION ALL SELECT lower(name), 'table function' FROM system.table_functions`

// closed are the functions that analysts may not call, in lower case; true: it is no table function only, so its name alone
// stands for it where a function is handed to another.
func closed(c *conn) (map[string]bool, error) {
	out, _, err := c.exec(closedFunctions, "TabSeparatedRaw")
	if err != nil {
		return nil, fmt.Errorf("ask the engine which functions it has: %w", err)
	}
	names := make(map[string]bool)
	for line := range strings.Lines(string(out)) {
		name, kind, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if scalar := kind == "function"; scalar || !harmless[name] {
			names[name] = names[name] || scalar
		}
	}
	return names, nil
}

// judge refuses an analyst's statement that does more than read what is allowed. Its structure is the engine's own word
// (EXPLAIN AST), so that no trick of quoting or comments makes the front see another statement than the one that runs.
// It is asked on a connection of its own, which the analyst's limits do not count for.
func (e *Engine) judge(req *request, f facts) error {
	if !verbs[f.verb] {
		return denied("%s is not allowed", f.verb)
	}
	c, err := e.dial("--readonly=1")
	if err != nil {
		return err
	}
	defer c.close()
	tree, _, err := c.exec("EXPLAIN AST "+req.sql[:f.bodyEnd], "TabSeparatedRaw", req.parameters...)
	if err != nil {
		return err
	}
	known, _, err := c.exec("SELECT name FROM system.databases", "TabSeparatedRaw")
	if err != nil {
		return err
	}
	v := verdict{database: req.database, databases: strings.Fields(string(known)), closed: e.closed}
	for line := range strings.Lines(string(tree)) {
		if err := v.node(strings.TrimSuffix(line, "\n")); err != nil {
			return err
		}
	}
	return v.applied(req.sql[:f.bodyEnd])
}

// verdict is what has to be known to judge the lines of a statement's structure.
type verdict struct {
	database  string          // the one that is open
	databases []string        // all there are
	closed    map[string]bool // as the function closed has them
}

// node judges one line: a node of the syntax tree, indented by its depth. A name that holds a line end makes further lines,
// which can only forbid more.
func (v verdict) node(line string) error {
	node := strings.TrimLeft(line, " ")
	kind, name, _ := strings.Cut(node, " ")
	if len(node) == len(line) && !statements[kind] || strings.HasSuffix(kind, "Query") && !statements[kind] {
		return denied("A statement of this kind (%s) is not allowed", kind)
	}
	// What follows a name in a line of the tree: its alias and the number of its children.
	bare, _, _ := strings.Cut(name, " (")
	switch kind {
	case "Function":
		if v.known(strings.ToLower(bare)) {
			return denied("The function %s is not allowed", bare)
		}
	case "TableIdentifier":
		return v.table(bare)
	case "Set": // the engine refuses those of the statement, and takes those of a subquery
		if len(line)-len(node) > 1 {
			return denied("SETTINGS cannot be changed in a statement")
		}
	case "Identifier": // a column, a function that is handed to another, a table after IN, or a part of a table's name after SHOW
		if v.closed[strings.ToLower(bare)] {
			return denied("The function %s is not allowed", bare)
		}
		if before, _, _ := strings.Cut(bare, "."); slices.Contains(v.databases, before) {
			return v.table(bare)
		}
	case "ShowCreateTableQuery", "ShowCreateViewQuery", "ExistsTableQuery", "ExistsViewQuery":
		if database, table, named := strings.Cut(bare, " "); named && database != "" {
			return v.table(database + "." + table)
		}
	}
	return nil
}

// table judges the name of a table: of the open database, or of the catalogue.
func (v verdict) table(name string) error {
	database, table, qualified := strings.Cut(name, ".")
	switch {
	case !qualified && !slices.Contains(v.databases, database), database == v.database:
		return nil
	case strings.EqualFold(database, "information_schema"), database == "system":
		if table, _, _ = strings.Cut(table, "."); !qualified || catalogue[strings.ToLower(table)] {
			return nil
		}
	}
	return denied("%s is not open", name)
}

// applied refuses APPLY with a function that is closed: the tree does not show which function it applies.
func (v verdict) applied(sql string) error {
	l := &lexer{sql: sql}
	applies := false
	for t, ok := l.next(); ok; t, ok = l.next() {
		applies = applies || l.is(t, "APPLY")
		if name := strings.ToLower(strings.Trim(sql[t.start:t.end], "`\"")); applies && (v.known(name) || strings.Contains(name, "\\")) && t.kind != text {
			return denied("The function %s is not allowed", name)
		}
	}
	return nil
}

// known reports whether a name, in lower case, is one of a closed function.
func (v verdict) known(name string) bool {
	_, is := v.closed[name]
	return is
}
