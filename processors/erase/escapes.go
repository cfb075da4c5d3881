package erase

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// nested is how many times a message is unescaped: JSON may hold JSON as text.
const nested = 3

// spelled says whether a name is in a document that may be broken JSON, as it is or with escapes.
func spelled(document []byte, names [][]byte) bool {
	for range nested + 1 {
		for _, name := range names {
			if bytes.Contains(document, name) {
				return true
			}
		}
		if bytes.IndexByte(document, '\\') < 0 {
			return false
		}
		document = unescape(document)
	}
	return false
}

// unescape undoes the escapes of JSON strings wherever they are. What is none stays as it is.
func unescape(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\\')
		if i < 0 || i+1 == len(b) {
			return append(out, b...)
		}
		out, b = append(out, b[:i]...), b[i:]
		const letters, means = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
		if at := bytes.IndexByte([]byte(letters), b[1]); at >= 0 {
			out, b = append(out, means[at]), b[2:]
			continue
		}
		r, ok := unit(b)
		if !ok {
			out, b = append(out, b[0]), b[1:]
			continue
		}
		b = b[6:]
		if low, ok := unit(b); ok && utf16.IsSurrogate(r) {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				r, b = pair, b[6:]
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

// unit reads the \uXXXX that a text begins with.
func unit(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(n), err == nil
}
