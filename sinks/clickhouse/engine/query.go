package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
)

// run executes one statement: a slot, an id, a connection with the request's
// database and settings, then the statement itself. When the client goes away
// the statement is cancelled.
func (e *Engine) run(ctx context.Context, req *request, a *answer) error {
	var f facts
	if req.insert == nil {
		f = inspect(req.sql)
		if err := refuse(req.sql, f); err != nil {
			return err
		}
	}
	if f.first != "KILL" { // the way out when all slots are taken
		select {
		case e.slots <- struct{}{}:
			defer func() { <-e.slots }()
		default:
			return exceptionf(codeTooManyQueries, "TOO_MANY_SIMULTANEOUS_QUERIES",
				"Too many simultaneous queries. Maximum: %d", cap(e.slots))
		}
	}
	if err := e.running.add(req.id); err != nil {
		return err
	}
	defer e.running.remove(req.id)

	c, release, err := e.connect(req)
	if err != nil {
		return err
	}
	defer release()

	done := make(chan struct{})
	defer close(done)
	stop := context.AfterFunc(ctx, func() { e.killUntil(req.id, done) })
	defer stop()

	if req.insert != nil {
		return e.insert(c, req, a)
	}
	return e.query(c, req, f, a)
}

// refuse turns down what a server would not run over HTTP or the library would
// take for a command of its own.
func refuse(sql string, f facts) error {
	switch {
	case strings.TrimSpace(sql) == "":
		return exceptionf(codeSyntax, "SYNTAX_ERROR", "Syntax error: Empty query")
	case f.several:
		return exceptionf(codeSyntax, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed): failed at position %d (;)", f.bodyEnd+1)
	case f.outfile:
		return exceptionf(codeIntoOutfile, "INTO_OUTFILE_NOT_ALLOWED", "INTO OUTFILE is not allowed")
	case f.infile:
		return exceptionf(codeNotImplemented, "NOT_IMPLEMENTED", "FROM INFILE is not allowed; send the data in the body")
	case f.first == "" || clientCommand(f.first):
		return exceptionf(codeSyntax, "SYNTAX_ERROR", "Syntax error: failed at position 1 (%s)", sql[:min(len(sql), 64)])
	}
	return nil
}

// clientCommand reports whether the library's built-in client would take the
// word for itself rather than for SQL.
func clientCommand(word string) bool {
	switch word {
	case "EXIT", "QUIT", "LOGOUT", "HELP", "Q":
		return true
	}
	return false
}

// connect opens or takes the request's connection and prepares it. release
// closes it or gives it back.
func (e *Engine) connect(req *request) (c *conn, release func(), err error) {
	if req.session == "" {
		c, err = dial(e.abi, append(e.args[:len(e.args):len(e.args)], "--"+carrier+"="+req.id))
		if err != nil {
			return nil, nil, err
		}
		release = c.close
		defer func() {
			if err != nil {
				c.close()
			}
		}()
		return c, release, prepare(c, req.database, req.settings)
	}
	c, err = e.sessions.take(req.session, req.newSession, func() (*conn, error) {
		c, err := dial(e.abi, e.args)
		if err == nil && req.database != "" {
			if err = prepare(c, req.database, nil); err != nil {
				c.close()
			}
		}
		return c, err
	})
	if err != nil {
		return nil, nil, err
	}
	settings := append(req.settings, setting{carrier, req.id})
	old, err := c.saved(settings)
	release = func() {
		// Also ends the statement in the engine's eyes: after a failure it would
		// stay in system.processes until the next statement on its connection.
		_, _, _ = c.exec(setStatement(old), "Null")
		e.sessions.give(req.session, req.timeout)
	}
	if err == nil {
		err = prepare(c, "", settings)
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return c, release, nil
}

// prepare sets the database and settings of a connection.
func prepare(c *conn, database string, settings []setting) error {
	if database != "" && database != "default" {
		if _, _, err := c.exec("USE "+identifier(database), "Null"); err != nil {
			return err
		}
	}
	if len(settings) > 0 {
		if _, _, err := c.exec(setStatement(settings), "Null"); err != nil {
			return err
		}
	}
	return nil
}

// query runs a statement without data of its own and passes its output on.
func (e *Engine) query(c *conn, req *request, f facts, a *answer) error {
	format := first(f.format, req.format)
	if err := a.open(format); err != nil {
		return err
	}
	sql := withClientIDs(req.sql[:f.bodyEnd], f)
	if !f.streams() {
		return e.whole(c, req, sql, format, a)
	}
	out, err := c.stream(sql, format, req.parameters)
	if err != nil {
		return err
	}
	defer out.close()
	if format == "Native" && req.protocol > 0 {
		err = recode(out, a.out, req.protocol, func() { a.stats = out.stats })
	} else {
		err = pass(out, a)
	}
	if err != nil {
		return err
	}
	a.stats = out.stats
	return a.finish()
}

// pass copies the engine's output as it is.
func pass(out *rows, a *answer) error {
	for {
		chunk, err := out.next()
		a.stats = out.stats
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

// whole runs a statement that the library does not stream: its output is small,
// or in a format that is written in one piece.
func (e *Engine) whole(c *conn, req *request, sql, format string, a *answer) error {
	out, st, err := c.exec(sql, format, req.parameters...)
	if err != nil {
		return err
	}
	a.stats = st
	if format == "Native" && req.protocol > 0 {
		err = recode(bytes.NewReader(out), a.out, req.protocol, func() {})
	} else {
		_, err = a.out.Write(out)
	}
	if err != nil {
		return err
	}
	return a.finish()
}

// insert feeds a request's data to the engine.
func (e *Engine) insert(c *conn, req *request, a *answer) error {
	st, err := c.insert(req.insert.statement, req.insert.format, req.parameters, req.data)
	if err != nil {
		return err
	}
	a.stats = st
	a.w.Header().Set("Content-Type", contentType(req.format))
	return a.finish()
}
