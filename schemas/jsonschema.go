package schemas

import (
	"embed"
	"io/fs"
)

//go:embed jsonschema/*.json
var schemaFiles embed.FS

// JSONSchema returns the published JSON Schema (draft 2020-12) of the data of one kind; ok is false for a kind that the
// contract does not list. Its references are to data.v1.json beside it, see [JSONSchemas].
func JSONSchema(k Kind) (schema []byte, ok bool) {
	if _, ok = k.Spec(); !ok {
		return nil, false
	}
	b, err := schemaFiles.ReadFile("jsonschema/" + k.Type() + ".json")
	return b, err == nil
}

// JSONSchemas returns all published schemas: envelope.json for a whole CloudEvent, data.v1.json for what the data of
// every kind may hold, and one file for each kind, such as feedback.received.v1.json. They are generated from the tables
// that the decoder works by. A schema cannot say everything: that a time is not in the future, that an answer lies on its
// scale, how many bytes metadata has and how deep it nests is checked by the decoder alone.
func JSONSchemas() fs.FS {
	sub, err := fs.Sub(schemaFiles, "jsonschema")
	if err != nil {
		panic(err) // the name is a valid path: it cannot happen
	}
	return sub
}
