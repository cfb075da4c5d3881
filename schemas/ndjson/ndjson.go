// Package ndjson reads files of one JSON object a line as people save them.
package ndjson

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Each calls f for every line of r that is not blank, with its number from 1, without byte order mark and end of line,
// whether that is LF or CR LF. A line of more than most bytes is nil, and costs no other. It stops at the first error.
func Each(r io.Reader, most int, f func(n int, line []byte) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	var line []byte
	for n := 1; ; n++ {
		line = line[:0]
		long := false
		var err error
		for again := true; again; again = errors.Is(err, bufio.ErrBufferFull) {
			var part []byte
			part, err = in.ReadSlice('\n')
			if long = long || len(line)+len(part) > most; !long {
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
