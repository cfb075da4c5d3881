package gateway

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/earshot/earshot/schemas"
)

// body reads the whole body of r, at most limit bytes of it after decompression. release must be called when its bytes
// are no longer worked on; ok is false when the request has been answered with a problem.
func (g *Gateway) body(w http.ResponseWriter, r *http.Request, limit int) (b []byte, release func(), ok bool) {
	if wait := g.clients.exhausted(r, g.cfg.Now()); wait > 0 {
		writeProblem(w, tooFast(wait))
		return nil, nil, false
	}
	encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding")))
	packed := encoding == "gzip" || encoding == "x-gzip"
	if !packed && encoding != "" && encoding != "identity" || len(r.Header.Values("Content-Encoding")) > 1 {
		w.Header().Set("Accept-Encoding", "gzip")
		writeProblem(w, problem{Type: typeEncoding, Status: http.StatusUnsupportedMediaType,
			Detail: "the body may be sent plain or with Content-Encoding: gzip"})
		return nil, nil, false
	}
	if r.ContentLength > int64(limit) {
		writeProblem(w, tooLarge(fmt.Sprintf("%d bytes", r.ContentLength), limit))
		return nil, nil, false
	}
	h := &held{g: g}
	var in io.Reader = http.MaxBytesReader(w, r.Body, int64(limit))
	size := limit + 1 // so that one byte too many is noticed
	fits := func(int) error { return nil }
	var err error
	done := awaitBody(r)
	if packed {
		in, fits, err = unzip(&counted{r: in}, limit, g.cfg.MaxRatio)
	} else if r.ContentLength >= 0 {
		size = int(r.ContentLength)
	}
	if err == nil {
		b, err = h.fill(in, size, fits)
	}
	done()
	// The time to write the answer begins when the body is there, or was given up: a slow upload must eat up neither the
	// commit's time nor that of the answer which says that it was too slow.
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(g.cfg.PublishTimeout + writeTimeout))
	if err != nil {
		h.release()
		writeProblem(w, unreadable(err, limit))
		return nil, nil, false
	}
	return b, h.release, true
}

// errHeld stops reading when too much is being worked on already.
var errHeld = errors.New("too many bytes in flight")

// firstBytes is what is reserved for a body before any of it is there. It is little, because announcing a large body costs
// its sender nothing: what is reserved grows with what has come.
const firstBytes = 8 << 10

// fill reads r to its end, at most size bytes, and asks fits about what is there after every read.
func (h *held) fill(r io.Reader, size int, fits func(have int) error) ([]byte, error) {
	room := min(size, firstBytes)
	if !h.grow(int64(room)) {
		return nil, errHeld
	}
	b := make([]byte, 0, room)
	for {
		if len(b) == cap(b) {
			if len(b) == size {
				return b, nil
			}
			room := min(2*cap(b), size)
			if !h.grow(int64(room - cap(b))) {
				return nil, errHeld
			}
			b = append(make([]byte, 0, room), b...)
		}
		n, err := r.Read(b[len(b):min(cap(b), len(b)+readStep)])
		b = b[:len(b)+n]
		if err := fits(len(b)); err != nil {
			return nil, err
		}
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// readStep is how many bytes are read before they are judged.
const readStep = 16 << 10

// errRatio stops a decompression that yields more than could be feedback.
var errRatio = errors.New("gzip ratio")

// counted counts the bytes read through it.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// unzip returns the decompressed body and what bounds it: limit bytes, and the ratio, though not before one event's worth is
// there: a few short events that are much alike do compress like that.
func unzip(in *counted, limit, maxRatio int) (io.Reader, func(have int) error, error) {
	zr, err := gzip.NewReader(in)
	if err != nil {
		return nil, nil, gzipFault(err)
	}
	fits := func(have int) error {
		switch {
		case have > limit:
			return &http.MaxBytesError{Limit: int64(limit)}
		case have > schemas.MaxEventBytes && int64(have) > in.n*int64(maxRatio):
			return errRatio
		}
		return nil
	}
	return zipped{zr}, fits, nil
}

// zipped names the faults of a compressed body.
type zipped struct{ r io.Reader }

func (z zipped) Read(b []byte) (int, error) {
	n, err := z.r.Read(b)
	if err != nil && err != io.EOF {
		err = gzipFault(err)
	}
	return n, err
}

// errGzip marks what is wrong with the compressed bytes themselves.
var errGzip = errors.New("gzip")

func gzipFault(err error) error {
	var big *http.MaxBytesError
	if errors.As(err, &big) || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %w", errGzip, err)
}

// unreadable is the answer to a body that could not be read.
func unreadable(err error, limit int) problem {
	var big *http.MaxBytesError
	switch {
	case errors.Is(err, errHeld):
		return problem{Type: typeOverload, Status: http.StatusTooManyRequests, retryAfter: time.Second,
			Detail: "the gateway holds as many bytes of requests as it may; nothing was stored, send again later"}
	case errors.As(err, &big):
		return tooLarge(fmt.Sprintf("more than %d bytes", limit), limit)
	case errors.Is(err, errRatio):
		return problem{Type: typeTooLarge, Status: http.StatusRequestEntityTooLarge,
			Detail: "the body unpacks to far more than it is; send it plain or in smaller batches"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return problem{Type: typeTimeout, Status: http.StatusRequestTimeout,
			Detail: fmt.Sprintf("the body was not there after %s; send smaller batches", readTimeout)}
	case errors.Is(err, errGzip):
		return problem{Type: typeBody, Status: http.StatusBadRequest, Detail: "the body is not valid gzip, or is cut off"}
	}
	return problem{Type: typeBody, Status: http.StatusBadRequest, Detail: "the body ended before it was complete"}
}

func tooLarge(found string, limit int) problem {
	return problem{Type: typeTooLarge, Status: http.StatusRequestEntityTooLarge,
		Detail: fmt.Sprintf("the body has %s, allowed are %d; nothing was stored", found, limit),
		Problems: faults(-1, schemas.Problems{{Value: found, Bound: fmt.Sprintf("at most %d bytes", limit),
			Detail: "is too large; send several requests, and files by link", Reason: schemas.ReasonTooLarge}})}
}

// mediaType reads the content type; ok is false when it cannot be read or has a charset other than UTF-8. An absent one
// is "".
func mediaType(r *http.Request) (media string, ok bool) {
	ct := r.Header.Get("Content-Type")
	if ct == "" {
		return "", true
	}
	media, params, err := mime.ParseMediaType(ct)
	if err != nil {
		return "", false
	}
	charset := strings.ToLower(params["charset"])
	return media, charset == "" || charset == "utf-8" || charset == "utf8" || charset == "us-ascii"
}

func badMedia(found, wanted string) problem {
	if found == "" {
		found = "no content type that can be read"
	}
	return problem{Type: typeMediaType, Status: http.StatusUnsupportedMediaType,
		Detail: "found " + found + "; this page takes, in UTF-8, " + wanted}
}
