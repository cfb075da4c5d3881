package classify

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/earshot/earshot/schemas/ndjson"
)

// MaxLine is the longest line of a file of labelled texts, in bytes.
const MaxLine = 4 << 20

// errLong is what [DecodeLine] says of a line that is too long.
var errLong = fmt.Errorf("is longer than %d bytes", MaxLine)

// EachLine calls f for the lines of a file of labelled texts, as [ndjson.Each] does.
func EachLine(r io.Reader, f func(n int, line []byte) error) error { return ndjson.Each(r, MaxLine, f) }

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
