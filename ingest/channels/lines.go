package channels

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/earshot/earshot/schemas"
)

// Lines reads JSON lines, one record each; blank lines are none. A line that is too long costs itself and no more.
type Lines struct {
	in   *bufio.Reader
	line int
}

// OpenLines begins to read text in UTF-8.
func OpenLines(r io.Reader) *Lines { return &Lines{in: bufio.NewReaderSize(r, sniffed)} }

// maxJSONLine is the longest line that is read: the largest event, with room for its own envelope.
const maxJSONLine = 2 * schemas.MaxEventBytes

// Next returns the next record with its text and no values yet, or io.EOF after the last one.
func (l *Lines) Next() (Record, error) {
	for {
		line, long, err := boundedLine(l.in, maxJSONLine)
		if err != nil && (err != io.EOF || len(line) == 0) {
			return Record{}, err
		}
		l.line++
		rec := Record{Line: l.line, Raw: strings.TrimRight(string(line), "\r\n")}
		if long {
			rec.Raw, rec.Err = shown(rec.Raw[:200]), fmt.Errorf("is longer than %d bytes", maxJSONLine)
		}
		if strings.TrimSpace(rec.Raw) != "" {
			return rec, nil
		}
	}
}

// MailBox reads an mbox, mail by mail, without holding more than one.
type MailBox struct {
	in   *bufio.Reader
	line int // of the next line
	open bool
	at   int // where the mail that is being read begins
}

// maxMailBytes is the longest mail that is read, 32 MiB with its attachments; of a longer one the rest is passed over.
const maxMailBytes = 32 << 20

// OpenMailBox begins to read.
func OpenMailBox(r io.Reader) *MailBox {
	return &MailBox{in: bufio.NewReaderSize(r, sniffed), line: 1}
}

// Next returns the next mail, or io.EOF after the last one.
func (m *MailBox) Next() (Record, error) {
	var mail []byte
	blank := true
	for {
		line, _, err := boundedLine(m.in, maxMailBytes)
		if len(line) > 0 {
			m.line++
			if blank && bytes.HasPrefix(line, []byte("From ")) {
				begun, at := m.open, m.at
				m.open, m.at = true, m.line
				if begun {
					return Record{Line: at, Raw: string(mail)}, nil
				}
				mail = nil
				blank = false
				continue
			}
			if len(mail)+len(line) <= maxMailBytes {
				mail = append(mail, mboxLine(line)...)
			}
			blank = len(bytes.TrimRight(line, "\r\n")) == 0
		}
		if err == io.EOF {
			if !m.open || len(bytes.TrimSpace(mail)) == 0 {
				return Record{}, io.EOF
			}
			m.open = false
			return Record{Line: m.at, Raw: string(mail)}, nil
		}
		if err != nil {
			return Record{}, err
		}
	}
}
