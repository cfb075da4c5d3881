package main

import "io"

// unformula keeps spreadsheets from running what customers write: in a CSV file, a text that begins with =, +, -, @, tab,
// carriage return or NUL gets an apostrophe before it (OWASP ASVS 5.0, 1.2.10). ClickHouse quotes texts and no numbers, so
// numbers below zero stay numbers.
type unformula struct {
	w      io.Writer
	quoted bool // within a text
	first  bool // the next byte is a text's first
	closed bool // the last byte was a quote that ended a text, or is the first half of one within it
	out    []byte
}

// Write takes the next part of the file.
func (u *unformula) Write(b []byte) (int, error) {
	u.out = u.out[:0]
	for _, c := range b {
		if u.first && formula(c) {
			u.out = append(u.out, '\'')
		}
		u.first = false
		switch {
		case c == '"' && !u.quoted:
			u.quoted, u.first = true, !u.closed
			u.closed = false
		case c == '"':
			u.quoted, u.closed = false, true
		default:
			u.closed = false
		}
		u.out = append(u.out, c)
	}
	if _, err := u.w.Write(u.out); err != nil {
		return 0, err
	}
	return len(b), nil
}

// formula says whether a spreadsheet takes a text that begins so for something to run.
func formula(c byte) bool {
	switch c {
	case '=', '+', '-', '@', '\t', '\r', 0:
		return true
	}
	return false
}
