package gateway

import (
	"bytes"
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
	zipped := encoding == "gzip" || encoding == "x-gzip"
	if !zipped && encoding != "" && encoding != "identity" || len(r.Header.Values("Content-Encoding")) > 1 {
		w.Header().Set("Accept-Encoding", "gzip")
		writeProblem(w, problem{Type: typeEncoding, Status: http.StatusUnsupportedMediaType,
			Detail: "the body may be sent plain or with Content-Encoding: gzip"})
		return nil, nil, false
	}
	if r.ContentLength > int64(limit) {
		writeProblem(w, tooLarge(fmt.Sprintf("%d bytes", r.ContentLength), limit))
		return nil, nil, false
	}
	reserve := int64(limit)
	if r.ContentLength >= 0 && !zipped {
		reserve = r.ContentLength
	}
	release, ok = g.hold(reserve)
	if !ok {
		writeProblem(w, problem{Type: typeOverload, Status: http.StatusTooManyRequests, retryAfter: time.Second,
			Detail: "the gateway holds as many bytes of requests as it may; nothing was read, send again later"})
		return nil, nil, false
	}
	var err error
	if zipped {
		b, err = gunzip(http.MaxBytesReader(w, r.Body, int64(limit)), limit, g.cfg.MaxRatio)
	} else {
		b, err = readAll(http.MaxBytesReader(w, r.Body, int64(limit)), int(reserve), r.ContentLength >= 0)
	}
	// The time to write the answer begins when the body is there, or was given up: a slow upload must eat up neither the
	// commit's time nor that of the answer which says that it was too slow.
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(g.cfg.PublishTimeout + writeTimeout))
	if err != nil {
		release()
		writeProblem(w, unreadable(err, limit))
		return nil, nil, false
	}
	return b, release, true
}

// readAll reads r; when the size is known the buffer is made once.
func readAll(r io.Reader, size int, known bool) ([]byte, error) {
	if !known {
		return io.ReadAll(r)
	}
	b := make([]byte, size)
	n, err := io.ReadFull(r, b)
	return b[:n], err
}

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

// gunzip decompresses at most limit bytes and stops as soon as the ratio passes maxRatio, though not before one event's
// worth is there: a few short events that are much alike do compress like that.
func gunzip(r io.Reader, limit, maxRatio int) ([]byte, error) {
	in := &counted{r: r}
	zr, err := gzip.NewReader(in)
	if err != nil {
		return nil, gzipFault(err)
	}
	var out bytes.Buffer
	for {
		n, err := io.CopyN(&out, zr, 16<<10)
		switch {
		case out.Len() > limit:
			return nil, &http.MaxBytesError{Limit: int64(limit)}
		case out.Len() > schemas.MaxEventBytes && int64(out.Len()) > in.n*int64(maxRatio):
			return nil, errRatio
		case err == io.EOF:
			return out.Bytes(), nil
		case err != nil:
			return nil, gzipFault(err)
		case n == 0:
			return out.Bytes(), nil
		}
	}
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
