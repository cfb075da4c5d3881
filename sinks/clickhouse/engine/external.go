package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strings"
)

// external is a small table that comes with a statement, for "… IN ids": a part
// of a multipart body. It becomes a temporary table of the connection.
type external struct {
	name, structure, format string
	data                    []byte
}

// maxExternal is what all external tables of a statement may weigh, 64 MiB: they
// are held in memory, and are for lists of keys.
const maxExternal = 64 << 20

// readForm reads a multipart body: the fields query and param_… belong in the
// URL's parameters, every other part is an external table that the URL's
// parameters describe.
func readForm(body io.Reader, contentType string, q url.Values) ([]external, error) {
	_, attributes, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, exceptionf(codeBadArguments, "BAD_ARGUMENTS", "Cannot read Content-Type %q: %s", contentType, err)
	}
	var tables []external
	form := multipart.NewReader(body, attributes["boundary"])
	left := int64(maxExternal)
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return tables, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read multipart body: %w", err)
		}
		data, err := io.ReadAll(io.LimitReader(part, left+1))
		if err != nil {
			return nil, fmt.Errorf("read multipart body: %w", err)
		}
		if left -= int64(len(data)); left < 0 {
			return nil, exceptionf(codeTooLarge, "QUERY_IS_TOO_LARGE", "The parts of a statement weigh more than %d bytes", maxExternal)
		}
		name := part.FormName()
		if name == "query" || strings.HasPrefix(name, "param_") {
			q.Set(name, string(data))
			continue
		}
		table := external{name: name, format: first(q.Get(name+"_format"), "TabSeparated"), data: data, structure: q.Get(name + "_structure")}
		if types := q.Get(name + "_types"); types != "" && table.structure == "" {
			for i, t := range strings.Split(types, ",") {
				table.structure += fmt.Sprintf(", _%d %s", i+1, t)
			}
			table.structure = strings.TrimPrefix(table.structure, ", ")
		}
		for _, suffix := range []string{"_format", "_types", "_structure"} {
			q.Del(name + suffix)
		}
		if table.structure == "" {
			return nil, exceptionf(codeBadArguments, "BAD_ARGUMENTS", "Neither structure nor types have been provided for external table %s. Use fields %s_structure or %s_types to do so", name, name, name)
		}
		tables = append(tables, table)
	}
}

// load makes the temporary table and fills it.
func (t external) load(c *conn) error {
	// The structure is SQL from the client, as the statement is; the statement
	// around it must stay one.
	create := "CREATE TEMPORARY TABLE " + identifier(t.name) + " (" + t.structure + ")"
	if f := inspect(create); f.several {
		return refuse(create, f)
	}
	if _, _, err := c.exec(create, "Null"); err != nil {
		return err
	}
	_, err := c.insert("INSERT INTO "+identifier(t.name), t.format, nil, bytes.NewReader(t.data))
	return err
}
