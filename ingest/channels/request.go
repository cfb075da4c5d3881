package channels

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
)

// Request is what a sender sent, reduced to what a signature can cover.
type Request struct {
	Method string
	URL    string // as the sender called it, so behind a proxy the public one
	Header http.Header
	Body   []byte // raw: a signature is over bytes, not over what they mean
}

// Secret is a key or a token. It never prints, whatever the verb or encoder.
type Secret struct{ value []byte }

// NewSecret takes the content of a secret file; white space around it, such as the last line's end, is not part of it.
func NewSecret(b []byte) Secret { return Secret{bytes.Clone(bytes.TrimSpace(b))} }

// Empty says that there is nothing in it.
func (s Secret) Empty() bool { return len(s.value) == 0 }

// String hides the value.
func (s Secret) String() string { return "***" }

// GoString hides the value from %#v.
func (s Secret) GoString() string { return "***" }

// Format hides the value from every other verb, %x above all.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, "***") }

// MarshalText hides the value from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// maxFormParts bounds the fields of one form.
const maxFormParts = 1000

var errForm = errors.New("is not a form")

// parseForm reads a body of either form encoding. Files of a multipart form are left out: they come by link or not at all.
func parseForm(contentType string, body []byte) (url.Values, error) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil && contentType != "" {
		return nil, fmt.Errorf("content type: %w", errForm)
	}
	if media != "multipart/form-data" {
		v, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, fmt.Errorf("urlencoded body: %w", errForm)
		}
		return v, nil
	}
	form := url.Values{}
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for n := 0; n < maxFormParts; n++ {
		part, err := r.NextPart()
		if err == io.EOF {
			return form, nil
		}
		if err != nil {
			return nil, fmt.Errorf("multipart body: %w", errForm)
		}
		if part.FileName() != "" {
			continue
		}
		b, err := io.ReadAll(part)
		if err != nil {
			return nil, fmt.Errorf("multipart body: %w", errForm)
		}
		form.Add(part.FormName(), string(b))
	}
	return nil, fmt.Errorf("more than %d parts: %w", maxFormParts, errForm)
}

// query is the parameters of the request's URL; what cannot be parsed has none.
func (r *Request) query() url.Values {
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil
	}
	return u.Query()
}

// single returns the only value of a header or, with the prefix "form:", of a form field. A value that is given twice is
// none: two readers could take a different one of them.
func (r *Request) single(name string) string {
	var values []string
	if field, ok := strings.CutPrefix(name, "form:"); ok {
		form, err := parseForm(r.Header.Get("Content-Type"), r.Body)
		if err != nil {
			return ""
		}
		values = form[field]
	} else {
		values = r.Header.Values(name)
	}
	if len(values) != 1 {
		return ""
	}
	return values[0]
}
