package schemas

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// member reads one known member of data. null and the empty string are the same as not given.
func (d *decoder) member(f *field) {
	c, data := &d.json, &d.event.Data
	kind := c.peek()
	switch {
	case f.text != nil && kind == '"':
		s := c.str()
		if s == "" {
			return
		}
		if kept, p := f.checkText(s); p == nil {
			*f.text(data) = kept
		} else {
			d.add("data."+f.name, p.Value, p.Bound, p.Detail, p.Reason)
		}
		return
	case f.flag != nil && (kind == 't' || kind == 'f'):
		c.value()
		b := kind == 't'
		*f.flag(data) = &b
		return
	}
	path := "data." + f.name
	raw, depth := c.value()
	switch {
	case kind == 'n':
	case f.number != nil && (kind == '-' || kind >= '0' && kind <= '9'):
		x, err := strconv.ParseFloat(raw, 64)
		if err != nil || math.IsInf(x, 0) || x < f.lo || x > f.hi {
			d.add(path, show(raw), f.within(), "is out of range", ReasonSchema)
			return
		}
		*f.number(data) = &x
	case f.typ == consentField && kind == '{':
		d.consent(path, raw)
	case f.typ == metadataField && kind == '{':
		switch {
		case len(raw) > MaxMetadataBytes:
			d.add(path, fmt.Sprintf("%d bytes", len(raw)), fmt.Sprintf("at most %d bytes", MaxMetadataBytes), "is too large", ReasonTooLarge)
		case depth > MaxDepth-2:
			d.add(path, fmt.Sprintf("%d levels", depth+2), fmt.Sprintf("at most %d levels", MaxDepth), "is nested too deep", ReasonSchema)
		default:
			data.Metadata = []byte(raw)
		}
	case f.typ == attachField && kind == '[':
		if depth > MaxDepth-2 {
			d.add(path, fmt.Sprintf("%d levels", depth+2), fmt.Sprintf("at most %d levels", MaxDepth), "is nested too deep", ReasonSchema)
			return
		}
		d.attachments(path, raw)
	default:
		d.add(path, show(raw), f.typ.wants(), "has the wrong type", ReasonSchema)
	}
}

// within is the bound of a number in words.
func (f *field) within() string {
	if f.hi == anyNumber {
		return "a number that 64 bits can hold, up to about 1.8e308"
	}
	return fmt.Sprintf("%g … %g", f.lo, f.hi)
}

func (t fieldType) wants() string {
	switch t {
	case numberField:
		return "a number"
	case booleanField:
		return "true or false"
	case consentField:
		return `an object such as {"analytics":true,"contact":false}`
	case metadataField:
		return "an object"
	case attachField:
		return `an array such as [{"uri":"https://…"}]`
	}
	return "a string"
}

// consent reads what the customer agreed to; members other than the two are let pass.
func (d *decoder) consent(path, raw string) {
	c := cursor{text: raw}
	for c.enter(); c.more(); {
		name := c.str()
		v, _ := c.value()
		if name != "analytics" && name != "contact" || v == "null" {
			continue
		}
		if v != "true" && v != "false" {
			d.add(path+"."+name, show(v), "true or false", "has the wrong type", ReasonSchema)
			continue
		}
		b := v == "true"
		if name == "analytics" {
			d.event.Data.ConsentAnalytics = &b
		} else {
			d.event.Data.ConsentContact = &b
		}
	}
}

// attachmentFields are the members of one attachment; others are let pass.
var attachmentFields = map[string]*field{
	"uri":    {name: "uri", typ: uriField, max: 2048},
	"mime":   {name: "mime", max: MaxIDLength},
	"sha256": {name: "sha256", max: 64},
}

// attachments checks a list of links and keeps it as it came.
func (d *decoder) attachments(path, raw string) {
	c := cursor{text: raw}
	n := 0
	for c.enter(); c.more(); n++ {
		if n >= MaxAttachments {
			c.value()
			continue
		}
		at := path + "[" + strconv.Itoa(n) + "]"
		if c.peek() != '{' {
			v, _ := c.value()
			d.add(at, show(v), `an object such as {"uri":"https://…"}`, "has the wrong type", ReasonSchema)
			continue
		}
		given := false
		for c.enter(); c.more(); {
			name := c.str()
			f := attachmentFields[name]
			given = given || name == "uri"
			if f == nil || c.peek() != '"' {
				if v, _ := c.value(); f != nil {
					d.add(at+"."+name, show(v), "a string", "has the wrong type", ReasonSchema)
				}
				continue
			}
			s := c.str()
			if _, p := f.checkText(s); p != nil {
				d.add(at+"."+name, p.Value, p.Bound, p.Detail, p.Reason)
			} else if name == "sha256" && !isSHA256(s) {
				d.add(at+"."+name, quote(s), "64 hexadecimal digits", "is not a SHA-256", ReasonSchema)
			}
		}
		if !given {
			d.add(at+".uri", "", "required of an attachment", "is missing", ReasonSchema)
		}
	}
	if n > MaxAttachments {
		d.add(path, fmt.Sprintf("%d attachments", n), fmt.Sprintf("at most %d", MaxAttachments), "is too long", ReasonTooLarge)
		return
	}
	d.event.Data.Attachments = []byte(raw)
}

func isSHA256(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}
