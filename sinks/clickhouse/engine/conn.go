package engine

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"unsafe"
)

// conn is one connection to the engine: its own current database, settings and
// temporary tables. It runs one statement at a time and belongs to one
// goroutine.
type conn struct {
	abi    *abi
	handle uintptr
	ptr    uintptr
	closed func() // called once it is
}

// dial opens a connection. Every argument is --name=value.
func dial(a *abi, args []string) (*conn, error) {
	handle := a.open(args)
	if handle == 0 {
		return nil, errors.New("the engine refused the connection")
	}
	return &conn{abi: a, handle: handle, ptr: pointed(handle), closed: func() {}}, nil
}

// close ends the connection; a statement still running on it is cancelled and
// leaves system.processes.
func (c *conn) close() {
	if c.handle != 0 {
		c.abi.closeConn(c.handle)
		c.handle, c.ptr = 0, 0
		c.closed()
	}
}

// stats is what the engine tells of a statement: rows and bytes.
type stats struct {
	readRows, readBytes, writtenRows, writtenBytes, resultRows, resultBytes uint64
}

// add accumulates the figures of one result chunk.
func (s *stats) add(a *abi, result uintptr) {
	s.readRows += a.storageRows(result)
	s.readBytes += a.storageBytes(result)
	s.writtenRows += a.rowsWritten(result)
	s.writtenBytes += a.bytesWritten(result)
	s.resultRows += a.rowsRead(result)
	s.resultBytes += a.bytesRead(result)
}

// exec runs a statement to its end and returns its whole output. It is for the
// engine's own small statements and for formats that cannot be streamed.
func (c *conn) exec(query, format string, parameters ...setting) ([]byte, stats, error) {
	q, f := []byte(query), []byte(format)
	qp, ql := bytesOf(q)
	fp, fl := bytesOf(f)
	p := bind(parameters)
	defer p.pins.Unpin()
	n, nl, v, vl, count := p.arrays()
	result := c.abi.queryN(c.ptr, qp, ql, fp, fl, n, nl, v, vl, count)
	runtime.KeepAlive(q)
	runtime.KeepAlive(f)
	runtime.KeepAlive(p)
	var st stats
	if result == 0 {
		return nil, st, errNoResult
	}
	defer c.abi.destroyResult(result)
	if text := cString(c.abi.errorText(result)); text != "" {
		return nil, st, parseException(text)
	}
	st.add(c.abi, result)
	return c.copyOut(result), st, nil
}

// copyOut copies a result's bytes into Go memory.
func (c *conn) copyOut(result uintptr) []byte {
	n := c.abi.length(result)
	if n == 0 {
		return nil
	}
	out := make([]byte, n)
	copy(out, unsafe.Slice((*byte)(cPointer(c.abi.buffer(result))), n))
	return out
}

// params carries {name:Type} parameters to the engine.
type params struct {
	names, values       []unsafe.Pointer
	nameLens, valueLens []uintptr
	pins                runtime.Pinner
}

// bind lays the parameters out as four parallel C arrays. The caller unpins
// after the call.
func bind(list []setting) *params {
	p := &params{}
	for _, s := range list {
		n, v := []byte(s.name), []byte(s.value)
		if len(v) == 0 {
			v = []byte{0}
		}
		p.pins.Pin(&n[0])
		p.pins.Pin(&v[0])
		p.names = append(p.names, unsafe.Pointer(&n[0]))
		p.nameLens = append(p.nameLens, uintptr(len(s.name)))
		p.values = append(p.values, unsafe.Pointer(&v[0]))
		p.valueLens = append(p.valueLens, uintptr(len(s.value)))
	}
	return p
}

// arrays are the addresses of the four arrays and their common length.
func (p *params) arrays() (names, nameLens, values, valueLens unsafe.Pointer, n uintptr) {
	if len(p.names) == 0 {
		return nil, nil, nil, nil, 0
	}
	p.pins.Pin(&p.names[0])
	p.pins.Pin(&p.nameLens[0])
	p.pins.Pin(&p.values[0])
	p.pins.Pin(&p.valueLens[0])
	return unsafe.Pointer(&p.names[0]), unsafe.Pointer(&p.nameLens[0]),
		unsafe.Pointer(&p.values[0]), unsafe.Pointer(&p.valueLens[0]), uintptr(len(p.names))
}

// rows is the output of a running statement, formatted by the engine and read
// chunk by chunk: only one chunk is held at a time.
type rows struct {
	c      *conn
	result uintptr
	chunk  []byte
	stats  stats
	err    error
}

// stream starts a statement. An error here means that nothing ran or that it
// failed before its first row.
func (c *conn) stream(query, format string, parameters []setting) (*rows, error) {
	q, f := []byte(query), []byte(format)
	qp, ql := bytesOf(q)
	fp, fl := bytesOf(f)
	p := bind(parameters)
	defer p.pins.Unpin()
	n, nl, v, vl, count := p.arrays()
	result := c.abi.streamQuery(c.ptr, qp, ql, fp, fl, n, nl, v, vl, count)
	runtime.KeepAlive(q)
	runtime.KeepAlive(f)
	runtime.KeepAlive(p)
	if result == 0 {
		return nil, errNoResult
	}
	if text := cString(c.abi.errorText(result)); text != "" {
		c.abi.destroyResult(result)
		return nil, parseException(text)
	}
	return &rows{c: c, result: result}, nil
}

// next is the next chunk of output, io.EOF after the last.
func (r *rows) next() ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	part := r.c.abi.streamFetch(r.c.ptr, r.result)
	if part == 0 {
		r.err = errNoResult
		return nil, r.err
	}
	defer r.c.abi.destroyResult(part)
	if text := cString(r.c.abi.errorText(part)); text != "" {
		r.err = parseException(text)
		return nil, r.err
	}
	r.stats.add(r.c.abi, part)
	out := r.c.copyOut(part)
	if out == nil {
		r.err = io.EOF
		return nil, io.EOF
	}
	return out, nil
}

// Read makes the chunks one byte stream.
func (r *rows) Read(p []byte) (int, error) {
	for len(r.chunk) == 0 {
		chunk, err := r.next()
		if err != nil {
			return 0, err
		}
		r.chunk = chunk
	}
	n := copy(p, r.chunk)
	r.chunk = r.chunk[n:]
	return n, nil
}

// close frees the stream, cancelling what has not been read.
func (r *rows) close() {
	if r.result == 0 {
		return
	}
	if r.err == nil {
		r.c.abi.streamCancel(r.c.ptr, r.result)
	}
	r.c.abi.destroyResult(r.result)
	r.result = 0
}

// insert feeds data to an INSERT without data of its own. The rows are
// committed only when data ends with io.EOF; any other error cancels.
func (c *conn) insert(query, format string, parameters []setting, data io.Reader) (stats, error) {
	q, f := []byte(query), []byte(format)
	qp, ql := bytesOf(q)
	fp, fl := bytesOf(f)
	p := bind(parameters)
	defer p.pins.Unpin()
	n, nl, v, vl, count := p.arrays()
	stream := c.abi.streamInsert(c.ptr, qp, ql, fp, fl, n, nl, v, vl, count)
	runtime.KeepAlive(q)
	runtime.KeepAlive(f)
	runtime.KeepAlive(p)
	var st stats
	if stream == 0 {
		return st, errNoResult
	}
	defer c.abi.destroyInsert(stream)
	if text := cString(c.abi.insertError(stream)); text != "" {
		return st, parseException(text)
	}
	buf := make([]byte, insertChunk)
	for more := true; more; {
		got, err := fill(data, buf)
		if err != nil && err != io.EOF {
			c.abi.cancelInsert(stream)
			return st, fmt.Errorf("read insert data: %w", err)
		}
		more = err == nil
		if got == 0 {
			break
		}
		bp, bl := bytesOf(buf[:got])
		refused := c.abi.streamAppend(stream, bp, bl) != 0
		runtime.KeepAlive(buf)
		if refused {
			break // the reason is in the result of streamDone
		}
	}
	result := c.abi.streamDone(stream)
	if result == 0 {
		return st, errNoResult
	}
	defer c.abi.destroyResult(result)
	if text := cString(c.abi.errorText(result)); text != "" {
		return st, parseException(text)
	}
	st.add(c.abi, result)
	return st, nil
}

// fill reads until buf is full or data ends. It differs from io.ReadFull in
// that only the io.EOF of data itself is an end: a body cut short by its sender
// says io.ErrUnexpectedEOF, and that must never be taken for the end of an
// insert.
func fill(data io.Reader, buf []byte) (int, error) {
	n := 0
	for n < len(buf) {
		got, err := data.Read(buf[n:])
		n += got
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// insertChunk is how much of an insert's data crosses to the engine at a time.
// The engine queues sixteen of them, so an insert holds 16 MiB at most.
const insertChunk = 1 << 20
