package schemas

import (
	"bytes"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write the golden files and the published JSON Schemas anew")

// now is when every test receives its events.
var now = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

type object = map[string]any

const dialect = "https://json-schema.org/draft/2020-12/schema"

// Characters are written themselves, since not every regular expression dialect knows the same escapes.
const (
	noNUL     = "^[^\x00]*$"
	noControl = "^[^\x00-\x1f\x7f-\u009f]*$"
	linkRest  = "[^\x00-\x20\x7f<>\"/][^\x00-\x20\x7f<>\"]*$"
	link      = "^https?://" + linkRest
)

// property is the JSON Schema of one field. Empty strings and null are the same as not given.
func property(f *field) object {
	p := object{"description": f.doc}
	switch f.typ {
	case textField:
		p["type"], p["maxLength"], p["pattern"] = []string{"string", "null"}, f.limit(), noNUL
	case enumField:
		values := []any{}
		for _, v := range f.values {
			values = append(values, v)
		}
		for _, v := range f.values {
			for alias, of := range f.alias {
				if of == v {
					values = append(values, alias)
				}
			}
		}
		p["enum"] = append(sortedFrom(values, len(f.values)), "", nil)
	case numberField:
		p["type"] = []string{"number", "null"}
		if f.hi != anyNumber {
			p["minimum"], p["maximum"] = f.lo, f.hi
		}
	case booleanField:
		p["type"] = []string{"boolean", "null"}
	case dateField, timeField:
		either := []object{{"type": "null"}, {"const": ""}, {"type": "string", "format": "date-time"}}
		if f.typ == dateField {
			either = append(either, object{"type": "string", "format": "date"})
		}
		p["anyOf"] = either
	case uriField:
		p["type"], p["maxLength"], p["pattern"] = []string{"string", "null"}, f.limit(), "^$|"+link
	case consentField:
		yes := object{"type": []string{"boolean", "null"}}
		p["type"], p["properties"] = []string{"object", "null"}, object{"analytics": yes, "contact": yes}
	case metadataField:
		p["type"] = []string{"object", "null"}
	case attachField:
		p["type"], p["maxItems"] = []string{"array", "null"}, MaxAttachments
		p["items"] = object{"type": "object", "required": []string{"uri"}, "properties": object{
			"uri":    object{"type": "string", "maxLength": 2048, "pattern": link},
			"mime":   object{"type": "string", "maxLength": MaxIDLength, "pattern": noNUL},
			"sha256": object{"type": "string", "pattern": "^[0-9A-Fa-f]{64}$"},
		}}
	}
	return p
}

// sortedFrom sorts v from the given index on, where it came out of a map.
func sortedFrom(v []any, from int) []any {
	rest := v[from:]
	for i := range rest {
		for j := i; j > 0 && rest[j].(string) < rest[j-1].(string); j-- {
			rest[j], rest[j-1] = rest[j-1], rest[j]
		}
	}
	return v
}

// given is the JSON Schema of a field that must be there and hold something.
func given(name string) object {
	switch fieldByName[name].typ {
	case numberField:
		return object{"type": "number"}
	case booleanField:
		return object{"type": "boolean"}
	}
	return object{"type": "string", "minLength": 1}
}

func kindSchema(k KindSpec) object {
	s := object{"$schema": dialect, "title": k.Kind.Type(), "description": k.Doc, "$ref": "data.v1.json"}
	if len(k.Required) > 0 {
		p := object{}
		for _, name := range k.Required {
			p[name] = given(name)
		}
		s["required"], s["properties"] = k.Required, p
	}
	if len(k.AnyOf) > 0 {
		var either []object
		for _, name := range k.AnyOf {
			either = append(either, object{"required": []string{name}, "properties": object{name: given(name)}})
		}
		s["anyOf"] = either
	}
	return s
}

func dataSchema() object {
	p := object{}
	for i := range fields {
		p[fields[i].name] = property(&fields[i])
	}
	return object{"$schema": dialect, "title": "data of every kind", "type": "object", "properties": p,
		"description": "Members that the data of any kind may hold. Other members are kept as they are, 8 KiB of them."}
}

func envelopeSchema() object {
	str := func(doc string, limit int) object {
		return object{"type": []string{"string", "null"}, "maxLength": limit, "pattern": noControl, "description": doc}
	}
	must := func(doc string) object {
		return object{"type": "string", "minLength": 1, "maxLength": MaxIDLength, "pattern": noControl, "description": doc}
	}
	source := must("Who says so, such as /zendesk/acme.")
	source["format"] = "uri-reference"
	var names []string
	var kindRules []object
	for _, k := range kinds {
		name := regexp.QuoteMeta(string(k.Kind))
		names = append(names, name)
		kindRules = append(kindRules, object{
			"if":   object{"properties": object{"type": object{"pattern": `^([0-9A-Za-z-]+\.)*` + name + `\.v1$`}}},
			"then": object{"properties": object{"data": object{"$ref": k.Kind.Type() + ".json"}}},
		})
	}
	typ := must("The kind and its version, a reverse-DNS prefix before it if you like.")
	typ["pattern"] = `^([0-9A-Za-z-]+\.)*(` + strings.Join(names, "|") + `)\.v1$`
	return object{"$schema": dialect, "title": "CloudEvent of Earshot", "type": "object",
		"description": "A CloudEvent 1.0 in structured mode. Attributes must not hold personal data: they may be logged on the way.",
		"required":    []string{"specversion", "id", "source", "type", "time", "tenantid", "data"},
		"properties": object{
			"specversion":     object{"const": "1.0"},
			"id":              must("The source's own id of the occurrence. With tenantid and source it is the event's identity."),
			"source":          source,
			"type":            typ,
			"time":            object{"type": "string", "format": "date-time", "description": "When it happened; at most 5 minutes in the future."},
			"tenantid":        must("Whose customers these are."),
			"subject":         str("Pseudonymous key of the customer.", MaxIDLength),
			"correlationid":   str("The case or conversation.", MaxIDLength),
			"causationid":     str("source#id of the event that this one answers.", 2*MaxIDLength+1),
			"traceparent":     str("W3C trace context.", MaxIDLength),
			"dataschema":      object{"type": []string{"string", "null"}, "pattern": noControl},
			"datacontenttype": object{"type": []string{"string", "null"}, "pattern": `^$|^application/json *(;.*)?$|^text/json *(;.*)?$|^[a-z]+/[0-9A-Za-z.-]+\+json *(;.*)?$`},
			"data_base64":     false,
			"data":            object{"type": "object"},
		},
		"additionalProperties": object{"type": []string{"string", "number", "boolean", "null"}, "pattern": noControl},
		"allOf":                kindRules}
}

func published() map[string]object {
	files := map[string]object{"envelope.json": envelopeSchema(), "data.v1.json": dataSchema()}
	for _, k := range kinds {
		files[k.Kind.Type()+".json"] = kindSchema(k)
	}
	return files
}

func TestPublishedSchemasAreWhatTheTablesSay(t *testing.T) {
	files := published()
	for name, s := range files {
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(s); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("jsonschema", name)
		if *update {
			if err := os.WriteFile(file, want.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s is not what the tables say (%v): run go test ./schemas -update", file, err)
		}
	}
	entries, err := os.ReadDir("jsonschema")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if files[e.Name()] == nil {
			t.Errorf("jsonschema/%s is of no kind", e.Name())
		}
	}
}

func TestEveryKindHasASchema(t *testing.T) {
	for _, k := range Kinds() {
		if b, ok := JSONSchema(k.Kind); !ok || !json.Valid(b) {
			t.Errorf("%s: %v", k.Kind, ok)
		}
	}
	if _, ok := JSONSchema("dlq.parse"); ok {
		t.Error("an unknown kind has a schema")
	}
}

// compiled returns the envelope's schema, which refers to all others.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	names, err := fs.Glob(JSONSchemas(), "*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, _ := fs.ReadFile(JSONSchemas(), name)
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource("file:///"+name, doc); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Compile("file:///envelope.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSchemaAndDecoderAgree reads testdata/events: both take what is in valid, both refuse what is in invalid, and what is
// in beyond only the decoder can refuse.
func TestSchemaAndDecoderAgree(t *testing.T) {
	schema := compiled(t)
	for dir, want := range map[string]struct{ schema, decoder bool }{
		"valid": {true, true}, "invalid": {false, false}, "beyond": {true, false},
	} {
		files, _ := filepath.Glob("testdata/events/" + dir + "/*.json")
		if len(files) < 5 {
			t.Fatalf("only %d files in %s", len(files), dir)
		}
		for _, file := range files {
			t.Run(dir+"/"+filepath.Base(file), func(t *testing.T) {
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
				if err != nil {
					t.Fatal(err)
				}
				if err := schema.Validate(doc); (err == nil) != want.schema {
					t.Errorf("the schema says %v", err)
				}
				e, ps := DecodeStructured(b, now)
				if (len(ps) == 0) != want.decoder {
					t.Errorf("the decoder says %v", ps)
				}
				if !want.decoder && len(ps) != 1 {
					t.Errorf("the file has one fault, the decoder found %d: %v", len(ps), ps)
				}
				if e != nil {
					sameAfterEncoding(t, e)
				}
			})
		}
	}
}
