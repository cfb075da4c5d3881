package classify

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
)

// opened returns what a model file says of its heads, and the tables after it.
func opened(t testing.TB, file []byte) (meta string, tables []byte) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	raw = raw[len(headsMagic):]
	n := binary.LittleEndian.Uint32(raw)
	return string(raw[4 : 4+n]), raw[4+n:]
}

// modelFile is a model file of what is said of its heads, and of tables.
func modelFile(t testing.TB, meta string, tables []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.HuffmanOnly)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(unpacked(meta, tables)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// unpacked is what a model file holds under its compression.
func unpacked(meta string, tables []byte) []byte {
	raw := binary.LittleEndian.AppendUint32([]byte(headsMagic), uint32(len(meta)))
	return append(append(raw, meta...), tables...)
}

func shippedModel(t testing.TB) []byte {
	t.Helper()
	file, err := embedded.ReadFile("data/model.bin")
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestModelsThatCannotBeAreRefused(t *testing.T) {
	meta, tables := opened(t, shippedModel(t))
	for _, c := range []struct{ claim, from, to, want string }{ // the first place that from matches is replaced
		{"a weight that is no number", `"dense":\[\[[-0-9]+`, `"dense":[[NaN`, "invalid character"},
		{"a weight beyond 32 bits", `"dense":\[\[[-0-9]+`, `"dense":[[1e12`, "cannot unmarshal"},
		{"an infinite temperature", `"temperature":[0-9.]+`, `"temperature":9e999`, "cannot unmarshal"},
		{"a temperature of nothing", `"temperature":[0-9.]+`, `"temperature":0`, `head "sentiment" has temperature 0`},
		{"a temperature below nothing", `"temperature":`, `"temperature":-`, `head "sentiment" has temperature -`},
		{"a scale of nothing", `"scale":[0-9.]+`, `"scale":0`, `head "sentiment" has scale 0`},
		{"a huge scale", `"scale":[0-9.]+`, `"scale":1e300`, `head "sentiment" has scale 1e+300`},
		{"a temperature that grows without end", `"several":[0-9.]+`, `"several":99`, "grows by 99"},
		{"too few dense weights", `"dense":\[\[[-0-9]+,`, `"dense":[[`, fmt.Sprintf("has %d dense weights, this program has %d", denseCount-1, denseCount)},
		{"too many dense weights", `"dense":\[\[`, `"dense":[[1,`, fmt.Sprintf("has %d dense weights", denseCount+1)},
		{"a row of dense weights too many", `"dense":\[`, `"dense":[[],`, "has 4 rows of dense weights for 3 classes"},
		{"a class twice", `"negative","neutral"`, `"negative","negative"`, `head "sentiment" has classes ["negative" "negative" "positive"]`},
		{"a class that there is not", `"complaint"`, `"fury"`, `head "intent" has classes ["fury"`},
		{"classes in another order", `\["ham","spam"\]`, `["spam","ham"]`, `head "junk" has classes ["spam" "ham"]`},
		{"a head that there is not", `"name":"intent"`, `"name":"mood"`, `head "mood" is unknown`},
		{"a head twice", `"name":"element"`, `"name":"intent"`, `head "intent" is unknown or there twice`},
		{"columns of another head", `"other"\],"at":0`, `"other"],"at":3`, `head "intent" begins in column 3, want 0`},
		{"no head of polarity", `"sentiment":`, `"x":`, `head "" stands where "sentiment" belongs`},
		{"a name with blanks", `"name":"linear-1"`, `"name":"linear 1"`, `its name is "linear 1"`},
		{"no name", `"name":"linear-1"`, `"name":""`, `its name is ""`},
	} {
		at := regexp.MustCompile(c.from).FindStringIndex(meta)
		if at == nil {
			t.Errorf("%s: the shipped model has no %s; write the case anew", c.claim, c.from)
			continue
		}
		_, err := UnmarshalHeads(modelFile(t, meta[:at[0]]+c.to+meta[at[1]:], tables))
		if err == nil || !strings.Contains(err.Error(), "read model") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.claim, err, c.want)
		}
	}
	whole := modelFile(t, meta, tables)
	for claim, c := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":                {nil, "no model file"},
		"a text":                 {[]byte("once upon a time"), "no model file"},
		"half a file":            {whole[:len(whole)/2], "damaged"},
		"a file without its end": {whole[:len(whole)-1], "damaged"},
		"a flipped bit":          {flipped(whole), "damaged"},
		"half a table":           {modelFile(t, meta, tables[:len(tables)/2]), "another size"},
		"tables and more":        {modelFile(t, meta, append(tables[:len(tables):len(tables)], 1)), "another size"},
		"another file of gzip":   {gzipped(t, strings.NewReader("once upon a time")), "no model file of this version"},
		"a bomb":                 {gzipped(t, io.LimitReader(zeros{}, 64<<20)), "no model file of this version"},
	} {
		if _, err := UnmarshalHeads(c.file); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", claim, err, c.want)
		}
	}
	if _, err := UnmarshalHeads(whole); err != nil {
		t.Errorf("the shipped model itself: %v", err)
	}
}

func flipped(file []byte) []byte {
	out := bytes.Clone(file)
	out[len(out)/2] ^= 1
	return out
}

// zeros has no end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func gzipped(t testing.TB, r io.Reader) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := io.Copy(z, r); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// FuzzModelFile loads rubbish as a model file, and as what a whole file says of its heads. What is not refused must label
// texts soundly. A byte is put everywhere in the tables.
func FuzzModelFile(f *testing.F) {
	meta, _ := opened(f, shippedModel(f))
	f.Add([]byte(meta), byte(127), true)
	f.Add([]byte(`{"sentiment":{}}`), byte(0), true)
	f.Add([]byte(headsMagic), byte(0), false)
	c, err := LoadRules()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte, fill byte, whole bool) {
		var h *Heads
		var err error
		if whole { // what is refused is refused before the tables are read
			if h, err = readHeads(b); err == nil {
				h, err = unpack(unpacked(string(b), bytes.Repeat([]byte{fill}, tableBytes)))
			}
		} else {
			h, err = UnmarshalHeads(b)
		}
		if err != nil {
			return
		}
		own := c.With(h)
		for _, text := range []string{"", "good", "Nobody answered for three days! I will buy elsewhere.", "不好吃", strings.Repeat("so bad and so good. ", 50)} {
			l := own.Classify(Input{Text: text})
			if err := check(text, &l); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}
