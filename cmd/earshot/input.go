package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/schemas/ndjson"
)

// openInput opens the file that a command was given, or standard input for "-".
func openInput(env *environment, args []string) (io.ReadCloser, string, error) {
	if len(args) != 1 {
		return nil, "", usagef("takes one file, or - for standard input")
	}
	if args[0] == "-" {
		return io.NopCloser(env.stdin), "standard input", nil
	}
	f, err := os.Open(args[0])
	if err != nil {
		return nil, "", err
	}
	return f, args[0], nil
}

// maxLine is the longest line a command reads: the largest event, with room for the envelope.
const maxLine = 2 * schemas.MaxEventBytes

// lines calls f for every line that is not blank, with its number from 1. A line over maxLine ends the reading.
func lines(r io.Reader, name string, f func(number int, line []byte) error) error {
	return eachLine(r, func(n int, line []byte) error {
		if line == nil {
			return fmt.Errorf("%s, line %d: %w", name, n, errLongLine)
		}
		return f(n, line)
	})
}

var errLongLine = fmt.Errorf("is longer than the %d bytes that a line may have; split it", maxLine)

// eachLine is lines, but a line over maxLine is nil.
func eachLine(r io.Reader, f func(number int, line []byte) error) error {
	return ndjson.Each(r, maxLine, func(n int, line []byte) error {
		if line != nil {
			line = bytes.TrimSpace(line)
		}
		return f(n, line)
	})
}

// parseMoment reads a point in time: a date, a time in RFC 3339, or how long before now it was.
func parseMoment(s string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("want a date such as 2026-11-01, a time such as 2026-11-01T08:00:00Z, or an age such as 36h, not %q", s)
}
