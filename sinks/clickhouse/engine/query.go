package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// run executes one statement: a slot, an id, a connection with the request's
// database and settings, then the statement itself. When the client goes away,
// or can no longer be written to, the statement is cancelled.
func (e *Engine) run(ctx context.Context, req *request, a *answer) error {
	var f facts
	if req.insert == nil {
		f = inspect(req.sql)
		if err := refuse(req.sql, f); err != nil {
			return err
		}
	}
	if err := e.enter(); err != nil {
		return err
	}
	defer e.turn.RUnlock()
	if f.verb != "KILL" && req.role == owner { // KILL is the way out when all slots are taken; analysts have one already
		select {
		case e.slots <- struct{}{}:
			defer func() { <-e.slots }()
		default:
			return tooMany(cap(e.slots))
		}
	}
	if err := e.running.add(req.id); err != nil {
		return err
	}
	defer e.running.remove(req.id)

	if req.role == analyst {
		if err := e.judge(req, f); err != nil {
			return err
		}
	}
	c, release, err := e.connect(req)
	if err != nil {
		return err
	}
	defer release()

	stop := context.AfterFunc(ctx, func() { e.cancel(req.id) })
	defer stop()

	for _, table := range req.external {
		if err := table.load(c); err != nil {
			return err
		}
	}
	if req.insert != nil {
		return e.insert(ctx, c, req, a)
	}
	begun := func() { e.running.begin(req.id) }
	if f.verb == "KILL" || f.selects() && len(f.processes) > 0 {
		begun() // it changes nothing, and two such must not wait for each other
		if err := e.settle(ctx); err != nil {
			return err
		}
	}
	if f.verb == "KILL" {
		over := make(chan struct{})
		defer close(over)
		e.running.all.Go(func() { e.wakeKilled(over) })
	}
	format := first(f.format, req.format)
	if err := a.open(format); err != nil {
		return err
	}
	switch sql := withClientIDs(req.sql[:f.bodyEnd], f); {
	case !f.selects():
		err = whole(c, req, sql, format, a, begun)
	case plain(format):
		err = chunks(c, req, sql, format, a, begun)
	default:
		err = piped(c, req, f, format, a, func() { e.cancel(req.id) }, begun)
	}
	if !f.selects() {
		if err = e.doubt(err); err == nil {
			err = e.intact(c)
		}
	}
	if err != nil {
		return err
	}
	return a.finish()
}

// tooMany is the answer when all slots are taken.
func tooMany(slots int) *Exception {
	return exceptionf(codeTooManyQueries, "TOO_MANY_SIMULTANEOUS_QUERIES", "Too many simultaneous queries. Maximum: %d", slots)
}

// refuse turns down what a server would not run over HTTP, what the library
// would take for a command of its own, and what would end this process.
func refuse(sql string, f facts) error {
	switch {
	case f.verb == "":
		return exceptionf(codeSyntax, "SYNTAX_ERROR", "Syntax error: Empty query")
	case f.several:
		return exceptionf(codeSyntax, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed): failed at position %d (;)", f.bodyEnd+1)
	case f.outfile:
		return exceptionf(codeIntoOutfile, "INTO_OUTFILE_NOT_ALLOWED", "INTO OUTFILE is not allowed")
	case f.infile:
		return exceptionf(codeNotImplemented, "NOT_IMPLEMENTED", "FROM INFILE is not allowed, send the data in the body")
	case f.verb == "SYSTEM" && (f.second == "SHUTDOWN" || f.second == "KILL"):
		return exceptionf(codeNotImplemented, "NOT_IMPLEMENTED", "SYSTEM %s would end the process that the engine is part of", f.second)
	case notSQL(f.verb):
		return exceptionf(codeSyntax, "SYNTAX_ERROR", "Syntax error: failed at position 1 (%s)", strings.ToValidUTF8(sql[:min(len(sql), 64)], "?"))
	}
	return nil
}

// notSQL reports whether no statement begins with the word. Some such words the
// library takes for its own, "quit" and its like in several alphabets, and would
// answer with nothing at all.
func notSQL(verb string) bool {
	switch verb {
	case "EXIT", "QUIT", "LOGOUT", "Q":
		return true
	}
	return verb[0] < 'A' || verb[0] > 'Z'
}

// connect opens or takes the request's connection and prepares it. release
// closes it or gives it back.
func (e *Engine) connect(req *request) (c *conn, release func(), err error) {
	if req.session == "" {
		c, err = e.dialWith(append(req.settings, setting{carrier, req.id}))
		if err == nil {
			if err = c.use(req.database); err != nil {
				c.close()
			}
		}
		if err != nil {
			return nil, nil, err
		}
		return c, c.close, nil
	}
	c, err = e.sessions.take(req.session, req.newSession, func() (*conn, error) { return e.dial() })
	if err != nil {
		return nil, nil, err
	}
	// What the URL sets is for one statement, what SET and USE set stays.
	settings := append(req.settings, setting{carrier, req.id})
	old, database, err := c.saved(settings)
	release = func() {
		if req.database != "" {
			_ = c.use(database)
		}
		// Also ends the statement in the engine's eyes: after a failure it would
		// stay in system.processes until the next statement on its connection.
		_ = c.set(old)
		e.sessions.give(req.session, req.timeout)
	}
	if err == nil {
		err = errors.Join(c.set(settings), c.use(req.database))
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return c, release, nil
}

// dial opens a connection that Close waits for.
func (e *Engine) dial(args ...string) (*conn, error) {
	c, err := dial(e.abi, append(e.args[:len(e.args):len(e.args)], args...))
	if err != nil {
		return nil, err
	}
	e.conns.Add(1)
	c.closed = e.conns.Done
	return c, nil
}

// dialWith opens a connection with settings. Settings that the engine knows go
// with the connect, which costs nothing; when that is refused, or there is one
// it does not know, SET says why.
func (e *Engine) dialWith(settings []setting) (*conn, error) {
	var args []string
	unknown := false
	for _, s := range settings {
		unknown = unknown || !e.about.settings[s.name]
		args = append(args, "--"+s.name+"="+s.value)
	}
	if !unknown {
		if c, err := e.dial(args...); err == nil {
			return c, nil
		}
	}
	c, err := e.dial()
	if err == nil {
		if err = c.set(settings); err != nil {
			c.close()
		}
	}
	return c, err
}

// plain reports whether a format is rows and nothing else. The library formats
// each chunk as a document of its own, so only such formats can be joined.
func plain(format string) bool {
	switch format {
	case "Native", "TabSeparated", "TSV", "TabSeparatedRaw", "TSVRaw", "Raw", "CSV", "RowBinary", "Null",
		"JSONEachRow", "JSONLines", "NDJSON", "JSONL", "JSONCompactEachRow", "JSONStringsEachRow",
		"JSONCompactStringsEachRow", "TSKV", "LineAsString", "MsgPack", "Protobuf":
		return true
	}
	return false
}

// whole runs a statement whose output is small.
func whole(c *conn, req *request, sql, format string, a *answer, begun func()) error {
	out, st, err := c.exec(sql, format, req.parameters...)
	begun()
	if err != nil {
		return err
	}
	a.stats = st
	return pass(bytes.NewReader(out), req, format, a, func() {})
}

// chunks runs a SELECT and passes on each chunk as the engine makes it.
func chunks(c *conn, req *request, sql, format string, a *answer, begun func()) error {
	out, err := c.stream(sql, format, req.parameters)
	if err != nil {
		return err
	}
	defer out.close()
	begun()
	err = pass(out, req, format, a, func() { a.stats = out.stats })
	a.stats = out.stats
	return err
}

// piped runs a SELECT in a format with a beginning and an end: the engine writes
// the document into a pipe, by the clause it has for files, while the other end
// is passed on. Without it such a result would have to be held whole.
func piped(c *conn, req *request, f facts, format string, a *answer, cancel, begun func()) error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("open result pipe: %w", err)
	}
	defer r.Close()
	clause := fmt.Sprintf("\nINTO OUTFILE '/dev/fd/%d' TRUNCATE FORMAT %s", w.Fd(), format)
	sql := withClientIDs(req.sql[:f.clause[0]]+clause+req.sql[f.clause[1]:f.bodyEnd], f)

	passed := make(chan error, 1)
	go func() {
		err := pass(r, req, format, a, func() {})
		if err != nil {
			cancel()
			// The engine must find a reader until it notices: a broken pipe is a
			// signal to a thread that is not Go's.
			_, _ = io.Copy(io.Discard, r)
		}
		passed <- err
	}()
	_, st, err := c.exec(sql, format, req.parameters...)
	_ = w.Close()
	begun()
	wrong := <-passed
	a.stats = st
	if wrong != nil {
		return wrong
	}
	return err
}

// pass copies the engine's output to the answer. before is called ahead of each
// write.
func pass(out io.Reader, req *request, format string, a *answer, before func()) error {
	if format == "Native" && req.protocol > 0 {
		return recode(out, a.out, req.protocol, a.about.columns(), before)
	}
	if r, ok := out.(*rows); ok {
		for {
			chunk, err := r.next()
			before()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if _, err := a.out.Write(chunk); err != nil {
				return err
			}
		}
	}
	_, err := io.Copy(a.out, out)
	return err
}

// insert feeds a request's data to the engine.
func (e *Engine) insert(ctx context.Context, c *conn, req *request, a *answer) error {
	e.running.waits(req.id, func() { _ = a.control.SetReadDeadline(time.Now()) })
	st, err := c.insert(req.insert.statement, req.insert.format, req.parameters, &committed{ctx: ctx, data: req.data, begun: func() { e.running.begin(req.id) }})
	if err != nil {
		return e.doubt(err)
	}
	if err := e.intact(c); err != nil {
		return err
	}
	a.stats = st
	a.w.Header().Set("X-ClickHouse-Format", req.format)
	a.w.Header().Set("Content-Type", contentType(req.format))
	return a.finish()
}

// committed is an insert's data as long as its sender is there: an end that
// comes when they have left is no end, and nothing is committed.
type committed struct {
	ctx   context.Context
	data  io.Reader
	begun func()
}

// Read notes with the first call that the engine has begun, and passes on.
func (d *committed) Read(p []byte) (int, error) {
	if d.begun != nil {
		d.begun()
		d.begun = nil
	}
	n, err := d.data.Read(p)
	if err == io.EOF && d.ctx.Err() != nil {
		return n, fmt.Errorf("sender left: %w", d.ctx.Err())
	}
	return n, err
}
