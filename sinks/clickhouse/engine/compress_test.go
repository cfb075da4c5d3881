package engine

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// sample is three blocks of text that compresses and bytes that do not.
func sample() []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := bytes.Repeat([]byte("feedback "), 150_000)
	for range 1 << 20 {
		b = append(b, byte(r.Uint32()))
	}
	return b
}

func TestCompressionsComeBackAsSent(t *testing.T) {
	want := sample()
	for _, req := range []*request{
		{}, {encoding: "gzip"}, {encoding: "deflate"}, {encoding: "br"}, {encoding: "zstd"},
		{compress: true, codec: "LZ4"}, {compress: true, codec: "ZSTD", level: 3}, {compress: true, codec: "LZ4", encoding: "gzip"},
	} {
		t.Run(req.encoding+req.codec, func(t *testing.T) {
			var packed bytes.Buffer
			w, err := encodeBody(&packed, req)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(want); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			r, err := decodeBody(iotest.HalfReader(&packed), req.encoding, req.compress)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes back of %d, error %v", len(got), len(want), err)
			}
		})
	}
}

func TestEmptyBodyIsEmptyInEveryBlockForm(t *testing.T) {
	r, err := decodeBody(bytes.NewReader(nil), "", true)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || len(got) != 0 {
		t.Errorf("%d bytes, error %v", len(got), err)
	}
}

// An insert whose body is cut anywhere must never look complete.
func TestBlocksCutAnywhereAreNotAnEnd(t *testing.T) {
	var packed bytes.Buffer
	w, err := encodeBody(&packed, &request{compress: true, codec: "LZ4"})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte("one block of data that is long enough to matter"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	whole := packed.Bytes()
	for n := 1; n < len(whole); n++ {
		r, err := decodeBody(bytes.NewReader(whole[:n]), "", true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r); err == nil {
			t.Errorf("cut at %d of %d: taken for the end", n, len(whole))
		}
	}
}

func TestCutHTTPEncodingsAreNotAnEnd(t *testing.T) {
	for _, encoding := range []string{"gzip", "deflate", "br", "zstd"} {
		var packed bytes.Buffer
		w, err := encodeBody(&packed, &request{encoding: encoding})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(sample()[:5000])
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for n := 1; n < packed.Len(); n++ {
			r, err := decodeBody(bytes.NewReader(packed.Bytes()[:n]), encoding, false)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(r); err == nil {
				t.Errorf("%s cut at %d of %d: taken for the end", encoding, n, packed.Len())
			}
		}
	}
}

func TestDamagedBlocksAreRefused(t *testing.T) {
	var packed bytes.Buffer
	w, err := encodeBody(&packed, &request{compress: true, codec: "LZ4"})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte("one block of data that is long enough to matter"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range packed.Len() {
		bad := bytes.Clone(packed.Bytes())
		bad[i] ^= 0x55
		r, err := decodeBody(bytes.NewReader(bad), "", true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r); err == nil {
			t.Errorf("byte %d changed: taken", i)
		}
	}
}

func TestUnknownEncodingIsRefused(t *testing.T) {
	var x *Exception
	if _, err := decodeBody(bytes.NewReader(nil), "rot13", false); !errors.As(err, &x) || x.Code != codeUnknownCompression {
		t.Errorf("got %v", err)
	}
}

func TestAcceptEncodingNeedsTheSetting(t *testing.T) {
	for _, c := range []struct {
		accept  string
		enabled bool
		want    string
	}{
		{"gzip, deflate, br", false, ""},
		{"gzip, deflate", true, "gzip"},
		{"deflate", true, "deflate"},
		{"gzip;q=0.5, br", true, "br"},
		{"identity", true, ""},
		{"", true, ""},
	} {
		if got := acceptEncoding(c.accept, c.enabled); got != c.want {
			t.Errorf("%q, enabled %v: %q, want %q", c.accept, c.enabled, got, c.want)
		}
	}
}
