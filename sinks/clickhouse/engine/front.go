package engine

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// routes are the paths a ClickHouse server answers.
func (e *Engine) routes() http.Handler {
	mux := http.NewServeMux()
	ok := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		_, _ = io.WriteString(w, "Ok.\n")
	}
	mux.HandleFunc("GET /ping", ok)
	mux.HandleFunc("GET /replicas_status", ok)
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && !r.URL.Query().Has("query") {
			ok(w, r)
			return
		}
		e.serve(w, r)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("query") || r.Method == http.MethodPost {
			e.serve(w, r)
			return
		}
		http.Error(w, "There is no handle "+r.URL.Path+"\n\nUse / or /ping for health checks.\nOr /replicas_status for more sophisticated health checks.\n\nSend queries from your program with POST method or GET /?query=...\n", http.StatusNotFound)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Answers hold what customers wrote, in formats that a statement chooses: no browser should take one for a page.
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
		mux.ServeHTTP(w, r)
	})
}

// bodyPatience is how long the sender of an insert may be silent, and how long
// the reader of a result may stand still. Without a bound a lost peer would hold
// its statement for ever, and KILL QUERY … SYNC with it.
const bodyPatience = 60 * time.Second

// maxDrained is how much of a refused insert is read and thrown away so that its
// sender comes to the answer, 256 MiB.
const maxDrained = 256 << 20

// serve answers one statement.
func (e *Engine) serve(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	h := w.Header()
	h.Set("X-ClickHouse-Server-Display-Name", e.about.name)
	h.Set("X-ClickHouse-Timezone", e.about.timezone)
	h.Set("Date", begin.UTC().Format(http.TimeFormat))

	a := &answer{w: w, control: http.NewResponseController(w), begin: begin, about: &e.about, most: maxHeld}
	who, err := e.admit(r)
	if err != nil {
		a.fail(err)
		return
	}
	body := &patientBody{r: r.Body, control: a.control}
	most := maxStatement
	if who == analyst { // what is read and held before a statement runs is bounded by the places there are for them
		select {
		case e.analysts <- struct{}{}:
			defer func() { <-e.analysts }()
		default:
			a.fail(tooMany(cap(e.analysts)))
			return
		}
		if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
			a.fail(denied("External tables are not taken; write IN (…) or values(…)"))
			return
		}
		most, a.most = analystStatement, analystHeld
	}
	req, err := parseRequest(r, body, most)
	if err != nil {
		a.fail(err)
		return
	}
	if req.id == "" {
		req.id = newID()
	}
	h.Set("X-ClickHouse-Query-Id", req.id)
	a.req = req
	if req.role = who; who == analyst {
		err = e.cfg.Analysts.confine(req)
	}
	if err == nil {
		err = e.run(r.Context(), req, a)
	}
	if err != nil {
		// Who is still sending reads no answer: closing on them would turn the
		// reason into a broken connection, and a row that can never be stored into
		// one worth trying again.
		_, _ = io.CopyN(io.Discard, body, maxDrained)
		a.fail(err)
		if r.Context().Err() == nil {
			e.cfg.Logger.Debug().Err(err).Str("query_id", req.id).Msg("statement failed")
		}
	}
}

// newID is a random id in the form the engine gives its own.
func newID() string {
	var b [16]byte
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// patientBody gives the sender a fresh while before every read.
type patientBody struct {
	r       io.Reader
	control *http.ResponseController
}

// Read reads within the while.
func (b *patientBody) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(bodyPatience))
	n, err := b.r.Read(p)
	_ = b.control.SetReadDeadline(time.Time{})
	return n, err
}

// answer is the response to one statement. Its head is held back until the first
// megabyte or the end, so that an early failure still has its own status.
type answer struct {
	w       http.ResponseWriter
	control *http.ResponseController
	req     *request
	begin   time.Time
	about   *about
	stats   stats
	tag     string // marks an exception inside a body that has begun
	held    []byte
	most    int  // how much may be held
	sent    bool // the head has gone out
	out     io.WriteCloser
}

// holdBack is how much of a result is held before the head is sent.
const holdBack = 1 << 20

// maxHeld is the largest result that wait_end_of_query holds, 256 MiB. A server
// would go on in a temporary file.
const maxHeld = 256 << 20

// The same bounds for analysts: their largest statement, and what is held of a result.
const (
	analystStatement = 1 << 20
	analystHeld      = 16 << 20
)

// open prepares the body's compressions and the headers known by now.
func (a *answer) open(format string) error {
	h := a.w.Header()
	h.Set("X-ClickHouse-Format", format)
	h.Set("Content-Type", contentType(format))
	a.tag = exceptionTag()
	h.Set("X-ClickHouse-Exception-Tag", a.tag)
	if a.req.encoding != "" {
		h.Set("Content-Encoding", a.req.encoding)
	}
	var err error
	a.out, err = encodeBody(heldWriter{a}, a.req)
	return err
}

// heldWriter is the answer below its compressions.
type heldWriter struct{ a *answer }

// Write holds bytes back until there are enough.
func (h heldWriter) Write(p []byte) (int, error) {
	a := h.a
	if !a.sent && a.req.wholeFirst && len(a.held)+len(p) > a.most {
		return 0, exceptionf(codeTooManyBytes, "TOO_MANY_ROWS_OR_BYTES", "With wait_end_of_query=1 a result may have %d bytes at most", a.most)
	}
	if !a.sent && (a.req.wholeFirst || len(a.held)+len(p) < holdBack) {
		a.held = append(a.held, p...)
		return len(p), nil
	}
	if err := a.send(); err != nil {
		return 0, err
	}
	return a.write(p)
}

// send lets the head and what is held go out.
func (a *answer) send() error {
	if a.sent {
		return nil
	}
	a.sent = true
	a.summarise()
	a.w.WriteHeader(http.StatusOK)
	_, err := a.write(a.held)
	a.held = nil
	return err
}

// write sends bytes within a while.
func (a *answer) write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	_ = a.control.SetWriteDeadline(time.Now().Add(bodyPatience))
	n, err := a.w.Write(p)
	_ = a.control.SetWriteDeadline(time.Time{})
	if err != nil {
		return n, fmt.Errorf("send result: %w", err)
	}
	return n, nil
}

// finish ends a good answer.
func (a *answer) finish() error {
	if a.out != nil {
		if err := a.out.Close(); err != nil {
			return err
		}
	}
	return a.send()
}

// summarise sets the header that tells what the statement cost.
func (a *answer) summarise() {
	n := func(v uint64) string { return strconv.Quote(strconv.FormatUint(v, 10)) }
	a.w.Header().Set("X-ClickHouse-Summary", `{"read_rows":`+n(a.stats.readRows)+
		`,"read_bytes":`+n(a.stats.readBytes)+
		`,"written_rows":`+n(a.stats.writtenRows)+
		`,"written_bytes":`+n(a.stats.writtenBytes)+
		`,"total_rows_to_read":"0","result_rows":`+n(a.stats.resultRows)+
		`,"result_bytes":`+n(a.stats.resultBytes)+
		`,"elapsed_ns":`+n(uint64(time.Since(a.begin)))+`}`)
}

// fail ends a bad answer: with the status and headers of the failure when
// nothing has gone out, else with a marked exception inside the body.
func (a *answer) fail(err error) {
	var x *Exception
	if !errors.As(err, &x) {
		x = asException(err)
		if errors.Is(err, context.Canceled) || errors.Is(err, io.ErrUnexpectedEOF) {
			x = exceptionf(codeAborted, "ABORTED", "%s", err)
		}
	}
	message := x.Text
	if !strings.HasSuffix(message, ")") || !strings.Contains(message, " (version ") {
		message += " (version " + a.about.version + ")"
	}
	message += "\n"
	if a.sent {
		// The frame that clients look for when a body breaks off. It goes around
		// the compressions: a compressed body cannot be mended, only ended.
		length := strconv.Itoa(len(message))
		_, _ = a.write([]byte("\r\n__exception__\r\n" + a.tag + "\r\n" + message + length + " " + a.tag + "\r\n__exception__\r\n"))
		_ = a.control.Flush()
		panic(http.ErrAbortHandler) // no last chunk: the client must see it broke
	}
	h := a.w.Header()
	h.Del("Content-Encoding")
	h.Set("X-ClickHouse-Exception-Code", strconv.Itoa(x.Code))
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	if x.Code == codeAuthentication {
		h.Set("WWW-Authenticate", `Basic realm="ClickHouse server HTTP API"`)
	}
	if a.req != nil {
		a.summarise()
	}
	a.w.WriteHeader(httpStatus(x.Code))
	_, _ = a.write([]byte(message))
}

// exceptionTag is sixteen random letters, fresh for each answer, so that no
// result can hold them by chance.
func exceptionTag() string {
	b := make([]byte, 16)
	for i := range b {
		b[i] = 'a' + byte(rand.IntN(26))
	}
	return string(b)
}

// contentType is what a server says of a format; data without one of its own is
// bytes.
func contentType(format string) string {
	switch format {
	case "JSON", "JSONCompact", "JSONStrings", "JSONCompactStrings", "JSONColumns", "JSONCompactColumns", "JSONColumnsWithMetadata", "JSONObjectEachRow":
		return "application/json; charset=UTF-8"
	case "JSONEachRow", "JSONLines", "NDJSON", "JSONStringsEachRow", "JSONCompactEachRow", "JSONCompactStringsEachRow",
		"JSONCompactEachRowWithNames", "JSONCompactEachRowWithNamesAndTypes", "JSONEachRowWithProgress":
		return "application/x-ndjson; charset=UTF-8"
	case "CSV":
		return "text/csv; charset=UTF-8; header=absent"
	case "CSVWithNames", "CSVWithNamesAndTypes":
		return "text/csv; charset=UTF-8; header=present"
	case "TabSeparated", "TSV", "TabSeparatedRaw", "TSVRaw", "TabSeparatedWithNames", "TSVWithNames",
		"TabSeparatedWithNamesAndTypes", "TSVWithNamesAndTypes":
		return "text/tab-separated-values; charset=UTF-8"
	case "XML":
		return "application/xml; charset=UTF-8"
	case "Native", "RowBinary", "RowBinaryWithNames", "RowBinaryWithNamesAndTypes", "Parquet", "Arrow", "ArrowStream", "ORC", "Avro":
		return "application/octet-stream"
	default:
		return "text/plain; charset=UTF-8"
	}
}
