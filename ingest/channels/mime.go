package channels

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"

	"golang.org/x/text/encoding/htmlindex"

	"github.com/earshot/earshot/schemas"
)

// Bounds of one mail: how deep its parts nest, how many there are, and how many bytes of a part are read.
const (
	maxMailDepth = 10
	maxMailParts = 200
	maxMailPart  = 1 << 20
)

// mailFile reads one mail (.eml) or a box of them (mbox, in which every mail begins with a line "From ").
func mailFile(d *Delivery) ([]schemas.Event, error) {
	f := finds{d: d}
	if !bytes.HasPrefix(d.Body, []byte("From ")) {
		if err := f.addMail(d.Body); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrPayload, err)
		}
		return f.events, nil
	}
	for _, one := range splitMbox(d.Body) {
		if err := f.addMail(one); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrPayload, err)
		}
	}
	return f.events, nil
}

// splitMbox cuts a box into its mails, without the lines that separate them.
func splitMbox(b []byte) (mails [][]byte) {
	var one []byte
	blank := true
	for len(b) > 0 {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i+1], b[i+1:]
		} else {
			b = nil
		}
		switch {
		case blank && bytes.HasPrefix(line, []byte("From ")):
			if one != nil {
				mails = append(mails, one)
			}
			one = []byte{}
		default:
			one = append(one, mboxLine(line)...)
		}
		blank = len(bytes.TrimRight(line, "\r\n")) == 0
	}
	return append(mails, one)
}

// mboxLine undoes the quoting of lines that begin with "From ".
func mboxLine(line []byte) []byte {
	if rest := bytes.TrimLeft(line, ">"); len(rest) < len(line) && bytes.HasPrefix(rest, []byte("From ")) {
		return line[1:]
	}
	return line
}

func (f *finds) addMail(b []byte) error {
	m, err := mail.ReadMessage(bytes.NewReader(b))
	if err != nil {
		return errors.New("the mail has no readable head")
	}
	l := &letter{header: m.Header.Get}
	dec := mime.WordDecoder{CharsetReader: func(charset string, r io.Reader) (io.Reader, error) {
		b, err := io.ReadAll(r)
		return strings.NewReader(decodeCharset(b, charset)), err
	}}
	word := func(name string) string {
		v := m.Header.Get(name)
		if s, err := dec.DecodeHeader(v); err == nil {
			return s
		}
		return v
	}
	l.id, l.from, l.subject = m.Header.Get("Message-Id"), m.Header.Get("From"), word("Subject")
	l.inReplyTo, l.thread, l.at = m.Header.Get("In-Reply-To"), m.Header.Get("References"), when(m.Header.Get("Date"))
	if l.id == "" { // still the same id when the same mail is read again
		l.id = "mail-" + schemas.KeyToken("mail", string(b))
	}
	parts := 0
	l.read(textproto.MIMEHeader(m.Header), m.Body, 0, &parts)
	f.addLetter(l)
	return nil
}

// read finds the words in a mail's part: the first plain text, and the first HTML for where there is none.
func (l *letter) read(h textproto.MIMEHeader, body io.Reader, depth int, parts *int) {
	if *parts++; *parts > maxMailParts || depth > maxMailDepth {
		return
	}
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		media, params = "text/plain", nil
	}
	if strings.HasPrefix(media, "multipart/") && params["boundary"] != "" {
		r := multipart.NewReader(body, params["boundary"])
		for {
			part, err := r.NextRawPart()
			if err != nil { // the end, or a fault after which there is nothing to be had
				return
			}
			l.read(part.Header, part, depth+1, parts)
			if *parts > maxMailParts {
				return
			}
		}
	}
	if disposition, _, _ := mime.ParseMediaType(h.Get("Content-Disposition")); disposition == "attachment" {
		return
	}
	to := &l.text
	switch media {
	case "text/plain":
	case "text/html":
		to = &l.html
	default:
		return
	}
	if *to != "" {
		return
	}
	switch strings.ToLower(strings.TrimSpace(h.Get("Content-Transfer-Encoding"))) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	b, _ := io.ReadAll(io.LimitReader(body, maxMailPart)) // what came before a fault is kept
	*to = decodeCharset(b, params["charset"])
}

// decodeCharset makes UTF-8 of text in any charset of the web; of an unknown one what is valid UTF-8 is kept.
func decodeCharset(b []byte, charset string) string {
	charset = strings.ToLower(strings.TrimSpace(charset))
	if charset != "" && charset != "utf-8" && charset != "us-ascii" {
		if enc, err := htmlindex.Get(charset); err == nil {
			if out, err := enc.NewDecoder().Bytes(b); err == nil {
				b = out
			}
		}
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}
