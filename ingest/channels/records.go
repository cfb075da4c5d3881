package channels

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Record is one record of a file.
type Record struct {
	Line int                       // where it begins, from 1
	Raw  string                    // as it stands in the file, decoded
	Get  func(place string) string // the value at a column's name
	Err  error                     // why it cannot be read; the next one may be
}

// Table reads delimited text whose first record names the columns. Quotes are RFC 4180's; a quote within a field that does
// not begin with one is a character. A quote that is never closed costs its own line and no more.
type Table struct {
	Encoding  string // as found or given
	Delimiter rune
	Columns   []string

	in     *bufio.Reader
	queue  []tableLine // read ahead
	line   int         // of the next line
	column map[string]int
}

// tableLine is a line, or the beginning of one with errLong.
type tableLine struct {
	text string
	err  error
}

// Bounds of one record.
const (
	maxRecordLines = 500
	maxRecordBytes = 512 << 10
	sniffed        = 64 << 10 // bytes that encoding and delimiter are told by
)

// OpenTable begins to read. An empty charset and a zero delimiter are found out.
func OpenTable(r io.Reader, charset string, delimiter rune) (*Table, error) {
	text, found, err := Decoded(r, charset)
	if err != nil {
		return nil, err
	}
	t := &Table{Encoding: found, Delimiter: delimiter, in: bufio.NewReaderSize(text, sniffed), line: 1, column: map[string]int{}}
	if delimiter == 0 {
		head, _ := t.in.Peek(sniffed / 2)
		t.Delimiter = sniffDelimiter(string(head))
	}
	fields, _, _, err := t.next()
	if err == io.EOF {
		return nil, errors.New("the file is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("line 1, the names of the columns: %w", err)
	}
	for i, name := range fields {
		name = plain(name)
		t.Columns = append(t.Columns, name)
		if _, twice := t.column[name]; twice && name != "" {
			return nil, fmt.Errorf("there are two columns %q", name)
		}
		t.column[name] = i
	}
	return t, nil
}

// Lacks are the places of the mapping for which there is no column.
func (t *Table) Lacks(m *Mapping) []string {
	var none []string
	for _, place := range m.Places() {
		if _, ok := t.column[place]; !ok {
			none = append(none, place)
		}
	}
	return none
}

// Next returns the next record, or io.EOF after the last one.
func (t *Table) Next() (Record, error) {
	fields, raw, line, err := t.next()
	if err == io.EOF {
		return Record{}, io.EOF
	}
	rec := Record{Line: line, Raw: raw, Err: err}
	if err == nil && len(fields) != len(t.Columns) {
		rec.Err = fmt.Errorf("has %d fields, the first line has %d", len(fields), len(t.Columns))
	}
	var failed *readError
	if errors.As(err, &failed) {
		return rec, failed.error
	}
	rec.Get = func(place string) string {
		for one := range strings.SplitSeq(place, "|") {
			if i, ok := t.column[strings.TrimSpace(one)]; ok && i < len(fields) && strings.TrimSpace(fields[i]) != "" {
				return fields[i]
			}
		}
		return ""
	}
	return rec, nil
}

// readError is a fault of the file, not of a record.
type readError struct{ error }

func (t *Table) next() (fields []string, raw string, line int, err error) {
	for {
		first, err := t.readLine()
		if err != nil && err != errLong {
			return nil, "", t.line, err
		}
		line = t.line
		t.line++
		if err == errLong {
			return nil, first, line, err
		}
		if strings.TrimSpace(first) == "" {
			continue
		}
		text := first
		var ahead []tableLine
		for {
			fields, open, err := splitFields(text, t.Delimiter)
			if !open {
				if err != nil { // the lines that were taken along are records of their own
					t.queue, t.line = append(ahead, t.queue...), line+1
					text = first
				}
				return fields, text, line, err
			}
			more, err := t.readLine()
			for err == nil && !strings.Contains(more, `"`) && len(ahead) < maxRecordLines && len(text)+len(more) <= maxRecordBytes {
				t.line++ // nothing in it can end the quote: it need not be taken apart
				ahead = append(ahead, tableLine{text: more})
				text += "\n" + more
				more, err = t.readLine()
			}
			if err != nil || len(ahead) == maxRecordLines || len(text)+len(more) > maxRecordBytes {
				if err == nil || err == errLong {
					ahead = append(ahead, tableLine{more, err})
				}
				t.queue, t.line = append(ahead, t.queue...), line+1
				return nil, first, line, errors.New("begins a quote that is never closed")
			}
			t.line++
			ahead = append(ahead, tableLine{text: more})
			text += "\n" + more
		}
	}
}

// errLong says that a line is longer than any record; its rest was passed over.
var errLong = fmt.Errorf("is longer than %d bytes", maxRecordBytes)

// readLine returns the next line. Of one that is too long it returns the beginning and errLong.
func (t *Table) readLine() (string, error) {
	if len(t.queue) > 0 {
		l := t.queue[0]
		t.queue = t.queue[1:]
		return l.text, l.err
	}
	line, long, err := boundedLine(t.in, maxRecordBytes)
	switch {
	case err != nil && err != io.EOF:
		return "", &readError{err}
	case err == io.EOF && len(line) == 0:
		return "", io.EOF
	case long:
		return shown(string(line[:min(len(line), 200)])), errLong
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

// boundedLine reads to the end of a line, of which it keeps at most so many bytes; long says that there was more.
func boundedLine(in *bufio.Reader, most int) (line []byte, long bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if keep := min(len(part), most-len(line)); keep < len(part) {
			line, long = append(line, part[:keep]...), true
		} else {
			line = append(line, part...)
		}
		if err != bufio.ErrBufferFull {
			return line, long, err
		}
	}
}

// splitFields takes a record apart; open says that it ends within quotes.
func splitFields(s string, delimiter rune) (fields []string, open bool, err error) {
	d := string(delimiter)
	for {
		trimmed := strings.TrimLeft(s, " ")
		if !strings.HasPrefix(trimmed, `"`) {
			field, rest, more := strings.Cut(s, d)
			fields = append(fields, field)
			if !more {
				return fields, false, nil
			}
			s = rest
			continue
		}
		var b strings.Builder
		s = trimmed[1:]
		for {
			i := strings.IndexByte(s, '"')
			if i < 0 {
				return nil, true, nil
			}
			b.WriteString(s[:i])
			s = s[i+1:]
			if !strings.HasPrefix(s, `"`) {
				break
			}
			b.WriteByte('"')
			s = s[1:]
		}
		fields = append(fields, b.String())
		after, rest, more := strings.Cut(s, d)
		if strings.TrimSpace(after) != "" {
			return nil, false, errors.New("has text after a closing quote; write a quote within quotes twice")
		}
		if !more {
			return fields, false, nil
		}
		s = rest
	}
}

// sniffDelimiter is the candidate that cuts the most of the first lines into the same number of fields, two or more; of
// equals the one that gives more fields.
func sniffDelimiter(head string) rune {
	lines := strings.Split(head, "\n")
	if len(lines) > 1 {
		lines = lines[:len(lines)-1] // the last one may be cut off
	}
	lines = lines[:min(len(lines), 30)]
	best, bestSame, bestFields := ',', 0, 0
	for _, d := range []rune{',', ';', '\t', '|'} {
		counts := map[int]int{}
		for _, line := range lines {
			if fields, open, err := splitFields(strings.TrimRight(line, "\r"), d); err == nil && !open && len(fields) > 1 {
				counts[len(fields)]++
			}
		}
		for fields, same := range counts {
			if same > bestSame || same == bestSame && fields > bestFields {
				best, bestSame, bestFields = d, same, fields
			}
		}
	}
	return best
}

// Decoded reads text of any charset as UTF-8, without a byte order mark. An empty charset is found out: by the mark, else
// UTF-8 where the beginning is that, else windows-1252, which old spreadsheets write.
func Decoded(r io.Reader, charset string) (text io.Reader, found string, err error) {
	in := bufio.NewReaderSize(r, sniffed)
	head, err := in.Peek(sniffed)
	if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
		return nil, "", err
	}
	if charset == "" {
		charset = sniffCharset(head)
	}
	var enc encoding.Encoding
	switch strings.ToLower(charset) {
	case "utf-8", "utf8":
		if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
			in.Discard(3)
		}
		return in, "utf-8", nil
	case "utf-16le":
		enc = unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	case "utf-16be":
		enc = unicode.UTF16(unicode.BigEndian, unicode.UseBOM)
	case "windows-1252":
		enc = charmap.Windows1252
	default:
		if enc, err = htmlindex.Get(charset); err != nil {
			return nil, "", fmt.Errorf("there is no encoding %q; common ones are utf-8, windows-1252, utf-16le, shift_jis, gb18030", charset)
		}
	}
	return transform.NewReader(in, enc.NewDecoder()), strings.ToLower(charset), nil
}

func sniffCharset(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		return "utf-16le"
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		return "utf-16be"
	}
	for range utf8.UTFMax { // a character may be cut off at the end
		if utf8.Valid(head) {
			return "utf-8"
		}
		if len(head) < sniffed {
			break
		}
		head = head[:len(head)-1]
	}
	return "windows-1252"
}
