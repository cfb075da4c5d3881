package engine

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// decodeBody undoes a request body's compression: the HTTP encoding outside,
// ClickHouse's own blocks inside.
func decodeBody(body io.Reader, encoding string, blocks bool) (io.Reader, error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
	case "gzip", "x-gzip":
		body = &lazyReader{source: body, open: func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }}
	case "deflate":
		body = &lazyReader{source: body, open: func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }}
	case "br":
		body = brotli.NewReader(body)
	case "zstd":
		body = &lazyReader{source: body, open: func(r io.Reader) (io.Reader, error) {
			d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
			if err != nil {
				return nil, err
			}
			return d.IOReadCloser(), nil
		}}
	default:
		return nil, exceptionf(codeUnknownCompression, "UNKNOWN_COMPRESSION_METHOD",
			"Unknown content encoding %q; use gzip, deflate, br or zstd", encoding)
	}
	if blocks {
		body = &blockReader{source: body}
	}
	return body, nil
}

// lazyReader opens a decompressor at the first read, so that an empty body is
// an empty body and not a broken archive.
type lazyReader struct {
	source io.Reader
	open   func(io.Reader) (io.Reader, error)
	opened io.Reader
}

// Read decompresses.
func (l *lazyReader) Read(p []byte) (int, error) {
	if l.opened == nil {
		opened, err := l.open(l.source)
		if err != nil {
			return 0, err
		}
		l.opened = opened
	}
	return l.opened.Read(p)
}

// blockReader reads ClickHouse's compressed blocks: 16 bytes of checksum, one of
// method, four of compressed size (the nine header bytes after the checksum
// included), four of plain size, then the data.
type blockReader struct {
	source io.Reader
	plain  []byte
}

// The header's layout, and the largest block taken: a client sends an insert's
// block as one, so this bounds what one insert may hold in memory.
const (
	blockHeader = 25
	blockSizes  = 17
	largeBlock  = 256 << 20
)

// Read decompresses. Only an end between two blocks is the end of the data: one
// inside a block means the sender was cut off.
func (b *blockReader) Read(p []byte) (int, error) {
	for len(b.plain) == 0 {
		if err := b.block(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.plain)
	b.plain = b.plain[n:]
	return n, nil
}

// block reads and decompresses the next block.
func (b *blockReader) block() error {
	header := make([]byte, blockHeader)
	if _, err := io.ReadFull(b.source, header); err != nil {
		return err
	}
	packed := binary.LittleEndian.Uint32(header[blockSizes:])
	plain := binary.LittleEndian.Uint32(header[blockSizes+4:])
	if packed < 9 || packed > largeBlock || plain > largeBlock {
		return exceptionf(codeCannotDecompress, "CANNOT_DECOMPRESS",
			"A compressed block says it has %d bytes for %d of data; at most %d are taken", packed, plain, largeBlock)
	}
	frame := append(header, make([]byte, packed-9)...)
	if _, err := io.ReadFull(b.source, frame[blockHeader:]); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	out := make([]byte, plain)
	if _, err := io.ReadFull(compress.NewReader(bytes.NewReader(frame)), out); err != nil {
		return exceptionf(codeCannotDecompress, "CANNOT_DECOMPRESS", "Cannot decompress a block: %s", err)
	}
	b.plain = out
	return nil
}

// acceptEncoding picks the answer's Content-Encoding. A server compresses only
// when enable_http_compression is set, so that a browser's habit of accepting
// everything costs nothing.
func acceptEncoding(accept string, enabled bool) string {
	if !enabled {
		return ""
	}
	for _, have := range []string{"br", "zstd", "gzip", "deflate"} {
		for _, want := range strings.Split(accept, ",") {
			name, _, _ := strings.Cut(strings.TrimSpace(want), ";")
			if strings.EqualFold(name, have) {
				return have
			}
		}
	}
	return ""
}

// encodeBody wraps w in the answer's compressions. Closing the result writes
// what is left and does not close w.
func encodeBody(w io.Writer, req *request) (io.WriteCloser, error) {
	var out io.WriteCloser = nopCloser{w}
	switch req.encoding {
	case "gzip":
		out, _ = gzip.NewWriterLevel(w, gzip.BestSpeed)
	case "deflate":
		out, _ = zlib.NewWriterLevel(w, zlib.BestSpeed)
	case "br":
		out = brotli.NewWriterLevel(w, brotli.BestSpeed)
	case "zstd":
		z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("start zstd: %w", err)
		}
		out = z
	}
	if !req.compress {
		return out, nil
	}
	method := compress.LZ4
	if req.codec == "ZSTD" {
		method = compress.ZSTD
	}
	return &blockWriter{w: out, c: compress.NewWriter(compress.Level(req.level), method)}, nil
}

type nopCloser struct{ io.Writer }

// Close does nothing.
func (nopCloser) Close() error { return nil }

// blockWriter writes ClickHouse's compressed blocks of 1 MiB of data at most,
// the size a server uses.
type blockWriter struct {
	w   io.WriteCloser
	c   *compress.Writer
	buf []byte
}

const blockSize = 1 << 20

// Write gathers a block and sends it when full.
func (b *blockWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		k := min(len(p), blockSize-len(b.buf))
		b.buf = append(b.buf, p[:k]...)
		p = p[k:]
		if len(b.buf) == blockSize {
			if err := b.flush(); err != nil {
				return n - len(p), err
			}
		}
	}
	return n, nil
}

func (b *blockWriter) flush() error {
	if len(b.buf) == 0 {
		return nil
	}
	if err := b.c.Compress(b.buf); err != nil {
		return fmt.Errorf("compress block: %w", err)
	}
	b.buf = b.buf[:0]
	_, err := b.w.Write(b.c.Data)
	return err
}

// Close writes the last block.
func (b *blockWriter) Close() error {
	return errors.Join(b.flush(), b.w.Close())
}
