package classify

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// MaxLine is the longest line of a file of labelled texts, in bytes.
const MaxLine = 4 << 20

// errLong is what [EachLine] says of a line that is too long.
var errLong = fmt.Errorf("is longer than %d bytes", MaxLine)

// EachLine calls f for every line of r that is not blank, with its number from 1, without byte order mark and end of line,
// whether that is LF or CR LF. A line of more than [MaxLine] bytes is nil, and costs no other. It stops at the first error.
func EachLine(r io.Reader, f func(n int, line []byte) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	var line []byte
	for n := 1; ; n++ {
		line = line[:0]
		long := false
		var err error
		for again := true; again; again = errors.Is(err, bufio.ErrBufferFull) {
			var part []byte
			part, err = in.ReadSlice('\n')
			if long = long || len(line)+len(part) > MaxLine; !long {
				line = append(line, part...)
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("line %d: read: %w", n, err)
		}
		text := bytes.TrimRight(line, "\r\n")
		if n == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff"))
		}
		if long {
			text = nil
		}
		if long || len(bytes.TrimSpace(text)) > 0 {
			if err := f(n, text); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

// DecodeLine reads a line of [EachLine] as one JSON object. A fault names the field, what it holds and what it should.
func DecodeLine(line []byte, into any) error {
	if line == nil {
		return errLong
	}
	err := json.Unmarshal(line, into)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		if wrong.Field == "" {
			return fmt.Errorf("is no object in braces, but: %s", wrong.Value)
		}
		return fmt.Errorf("%s is of the type %s, want %s", wrong.Field, wrong.Value, wrong.Type)
	}
	if err != nil {
		return fmt.Errorf("is no JSON object: %w", err)
	}
	return nil
}

// PlainLabel is a label without blanks around it, in lower case.
func PlainLabel(s string) string { return strings.ToLower(strings.TrimSpace(s)) }
