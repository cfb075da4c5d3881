package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/earshot/earshot/ingest/channels"
	"github.com/earshot/earshot/schemas"
)

type importOptions struct {
	publishOptions
	mapping, format, source       string
	encoding, delimiter, progress string
	dryRun, restart               bool
}

func importCommand() command {
	return command{
		name: "import", args: "FILE", summary: "send a CSV, JSONL or mail box file through the gateway",
		help: `Reads delimited text, JSON lines or an mbox and sends each record as an event. A mapping says which column or JSON path is
which field; a mail box needs none. Encoding and delimiter are found out. Bad records are reported with their line number,
the others are sent. How far it came is kept beside the file, so that a run that was stopped goes on where it was, and
counts every record once. A mapping is JSON:
  {"fields": {"id":"ticket_id", "time":"created", "text":"comment|note", "rating":"score", "scale":"of"},
   "set": {"channel":"survey"}, "values": {"rating": {"good":"5","bad":"1"}}, "zone":"Europe/Vienna"}
Fields are those of the contract (schemas/jsonschema/data.v1.json) and id, time, tenant, text, rating, scale, customer,
product, question. Look first what would be sent: earshot import --mapping map.json --dry-run answers.csv
Example: earshot import --mapping map.json answers.csv`,
		flags: func(fs *flag.FlagSet) any {
			o := &importOptions{}
			fs.StringVar(&o.mapping, "mapping", "", "`file` that says which column is which field")
			fs.StringVar(&o.format, "format", "", "csv, jsonl or mbox; default: by the file's name and beginning")
			fs.StringVar(&o.source, "source", "", "`name` of the source, a part of every event's identity; default: the file's name")
			fs.StringVar(&o.tenant, "tenant", "default", "tenant of records that name none")
			fs.StringVar(&o.encoding, "encoding", "", "such as windows-1252; default: found out")
			fs.StringVar(&o.delimiter, "delimiter", "", "one character, or tab; default: found out")
			fs.BoolVar(&o.dryRun, "dry-run", false, "check every record and show the first event, but send nothing")
			fs.StringVar(&o.progress, "progress", "", "`file` that keeps how far it came; default: FILE.progress")
			fs.BoolVar(&o.restart, "restart", false, "begin anew; what is stored already is not stored twice")
			fs.StringVar(&o.url, "url", "", "gateway `URL`; default: that of the node running on the data folder")
			fs.IntVar(&o.batch, "batch", 500, "events of one request, 1 to 1000")
			fs.IntVar(&o.parallel, "parallel", 4, "requests under way at once")
			return o
		},
		run: func(ctx context.Context, env *environment, opts any, args []string) error {
			o := opts.(*importOptions)
			if o.batch < 1 || o.batch > 1000 || o.parallel < 1 || o.parallel > 64 {
				return usagef("--batch takes 1 to 1000, --parallel 1 to 64")
			}
			in, name, err := openInput(env, args)
			if err != nil {
				return err
			}
			defer in.Close()
			if o.url == "" && !o.dryRun {
				if o.url, err = gatewayURL(env); err != nil {
					return err
				}
			}
			o.key = env.config.SendKey.Reveal()
			return runImport(ctx, env, o, in, name)
		},
	}
}

// importing is one file on its way.
type importing struct {
	o       *importOptions
	name    string
	source  string // CloudEvents source
	mapping *channels.Mapping
	next    func() (channels.Record, error)
	table   *channels.Table // of CSV
	mail    bool
	pub     *publication
	state   importState
	path    string // of the progress file; "": none is kept
}

// importState is how far an import came: what is before Records is answered for, and counted.
type importState struct {
	File     string `json:"file"`    // SHA-256 of the beginning of the file and of the mapping
	Records  int64  `json:"records"` // read so far
	Accepted int64  `json:"accepted"`
	Refused  int64  `json:"refused"`
	Done     bool   `json:"done"`
}

func runImport(ctx context.Context, env *environment, o *importOptions, in io.Reader, name string) error {
	im := &importing{o: o, name: name, pub: newPublication(&o.publishOptions, name, env.stderr)}
	base := first(o.source, strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)))
	im.source = "/import/" + schemas.Token(base)
	if err := im.open(in); err != nil {
		return err
	}
	if im.table != nil {
		fmt.Fprintf(env.stderr, "%s: encoding %s, delimiter %q, %d columns\n", name, im.table.Encoding, im.table.Delimiter, len(im.table.Columns))
	}
	if err := im.resume(env.stderr); err != nil {
		return err
	}
	if !im.state.Done {
		if err := im.run(ctx, env.stdout); err != nil {
			return err
		}
	}
	verb := "stored or known already"
	if o.dryRun {
		verb = "would be sent"
	}
	fmt.Fprintf(env.stdout, "%d records: %d %s, %d refused\n", im.state.Records, im.state.Accepted, verb, im.state.Refused)
	if im.state.Refused > 0 {
		return errReported
	}
	return nil
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// open looks at the beginning of the file and prepares to read its records.
func (im *importing) open(in io.Reader) error {
	r := bufio.NewReaderSize(in, 64<<10)
	head, err := r.Peek(64 << 10)
	if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
		return fmt.Errorf("read %s: %w", im.name, err)
	}
	if bytes.HasPrefix(head, []byte("\x1f\x8b")) || bytes.HasPrefix(head, []byte("PK\x03\x04")) {
		return usagef("%s is compressed; unpack it first, and of a spreadsheet export the table as CSV", im.name)
	}
	err = nil
	sum := sha256.New()
	sum.Write(head)
	if im.o.mapping != "" {
		if im.mapping, err = readMapping(im.o.mapping); err != nil {
			return usageError{err}
		}
		b, err := os.ReadFile(im.o.mapping)
		if err != nil {
			return err
		}
		sum.Write(b)
	}
	fmt.Fprintf(sum, "\n%s\n%s", im.source, im.o.tenant)
	im.state.File = hex.EncodeToString(sum.Sum(nil))
	format := im.o.format
	if format == "" {
		format = formatOf(im.name, head)
	}
	if im.mapping == nil && format != "mbox" {
		return usagef("a %s file needs --mapping; 'earshot import -h' shows one", format)
	}
	switch format {
	case "mbox":
		im.mail, im.next = true, channels.OpenMailBox(r).Next
	case "jsonl":
		im.next, err = jsonRecords(r, im.o.encoding, im.mapping)
	case "csv":
		var delimiter rune
		if delimiter, err = delimiterOf(im.o.delimiter); err != nil {
			return err
		}
		if im.table, err = channels.OpenTable(r, im.o.encoding, delimiter); err == nil {
			im.next = im.table.Next
			if none := im.table.Lacks(im.mapping); len(none) > 0 {
				return usagef("%s has no column %s; it has %s", im.name, strings.Join(none, ", "), strings.Join(im.table.Columns, ", "))
			}
		}
	default:
		return usagef("--format takes csv, jsonl or mbox")
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", im.name, err)
	}
	return nil
}

func formatOf(name string, head []byte) string {
	switch ext := strings.ToLower(filepath.Ext(name)); {
	case strings.HasPrefix(string(head), "From "):
		return "mbox"
	case ext == ".jsonl", ext == ".ndjson", ext != ".csv" && strings.HasPrefix(strings.TrimSpace(string(head)), "{"):
		return "jsonl"
	}
	return "csv"
}

func delimiterOf(s string) (rune, error) {
	switch s {
	case "":
		return 0, nil
	case "tab", `\t`:
		return '\t', nil
	}
	if d, n := utf8.DecodeRuneInString(s); n == len(s) && d != '"' && d != utf8.RuneError {
		return d, nil
	}
	return 0, usagef("--delimiter takes one character, or tab")
}

// jsonRecords reads one JSON object a line.
func jsonRecords(r io.Reader, encoding string, m *channels.Mapping) (func() (channels.Record, error), error) {
	text, _, err := channels.Decoded(r, encoding)
	if err != nil {
		return nil, err
	}
	in := channels.OpenLines(text)
	return func() (channels.Record, error) {
		rec, err := in.Next()
		if err != nil || rec.Err != nil {
			return rec, err
		}
		var doc any
		if doc, rec.Err = channels.ParseRecord([]byte(rec.Raw)); rec.Err == nil {
			rec.Get = m.Lookup(doc)
		}
		return rec, nil
	}, nil
}

// resume takes up what an earlier run left, and goes to where it was.
func (im *importing) resume(w io.Writer) error {
	if im.o.dryRun || im.name == "standard input" && im.o.progress == "" {
		return nil
	}
	im.path = first(im.o.progress, im.name+".progress")
	b, err := os.ReadFile(im.path)
	if errors.Is(err, os.ErrNotExist) || im.o.restart {
		return im.save() // now, and not after the first batch, it should be said that it cannot be written
	}
	if err != nil {
		return err
	}
	var before importState
	if err := json.Unmarshal(b, &before); err != nil {
		return fmt.Errorf("read %s: %w; --restart begins anew", im.path, err)
	}
	if before.File != im.state.File {
		return fmt.Errorf("%s is of another file, mapping, source or tenant; --restart begins anew", im.path)
	}
	im.state = before
	if before.Done {
		fmt.Fprintf(w, "%s was imported already; --restart begins anew\n", im.name)
		return nil
	}
	if before.Records > 0 {
		fmt.Fprintf(w, "%d records were dealt with before, going on\n", before.Records)
	}
	for range before.Records {
		if _, err := im.next(); err != nil {
			return fmt.Errorf("go to record %d of %s: %w; --restart begins anew", before.Records, im.name, err)
		}
	}
	return nil
}

// save replaces the progress file in one step.
func (im *importing) save() error {
	if im.path == "" {
		return nil
	}
	b, err := json.Marshal(&im.state)
	if err != nil {
		return err
	}
	// It is made anew, so that nothing is written through a link that somebody put there.
	next := im.path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("keep how far the import came: %w; --progress names another file", err)
	}
	f, err := os.OpenFile(next, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("keep how far the import came: %w; --progress names another file", err)
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("keep how far the import came: %w", err)
	}
	if err := os.Rename(next, im.path); err != nil {
		return fmt.Errorf("keep how far the import came: %w", err)
	}
	return nil
}

// run sends the file, a few batches at once, and notes after each such round how far it is: everything before is answered
// for. A run that is killed between sends a round again, under the same ids.
func (im *importing) run(ctx context.Context, stdout io.Writer) error {
	before := im.state
	im.pub.accepted.Store(before.Accepted)
	im.pub.refused.Store(before.Refused)
	progress := startProgress(im.pub.faults, func() int64 { return im.pub.accepted.Load() + im.pub.refused.Load() })
	defer progress.stop()
	for done := false; !done; {
		g, gctx := errgroup.WithContext(ctx)
		for range im.o.parallel {
			batch, end, err := im.batch(stdout)
			if err != nil {
				return errors.Join(fmt.Errorf("read %s: %w", im.name, err), g.Wait())
			}
			if im.o.dryRun {
				im.pub.accepted.Add(int64(len(batch)))
			} else if len(batch) > 0 {
				g.Go(func() error { return im.pub.post(gctx, batch) })
			}
			if done = end; done {
				break
			}
		}
		if err := g.Wait(); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		im.state.Accepted, im.state.Refused, im.state.Done = im.pub.accepted.Load(), im.pub.refused.Load(), done
		if err := im.save(); err != nil {
			return err
		}
	}
	return nil
}

// batch reads as many records as go into one request; end says that the file has no more.
func (im *importing) batch(stdout io.Writer) (batch []numbered, end bool, err error) {
	size := 0
	for len(batch) < im.o.batch && size < batchBytes-schemas.MaxEventBytes {
		rec, err := im.next()
		if err == io.EOF {
			return batch, true, nil
		}
		if err != nil {
			return nil, false, err
		}
		im.state.Records++
		events, err := im.events(&rec)
		if err != nil {
			im.pub.refuse(rec.Line, err.Error())
			continue
		}
		for i := range events {
			b := schemas.AppendStructured(nil, &events[i])
			if im.o.dryRun && im.state.Records == 1 {
				fmt.Fprintf(stdout, "%s\n", b)
			}
			batch, size = append(batch, numbered{rec.Line, b}), size+len(b)
		}
	}
	return batch, false, nil
}

// events makes the events of a record. A record without an id gets one made of its place and its content.
func (im *importing) events(rec *channels.Record) ([]schemas.Event, error) {
	if rec.Err != nil {
		return nil, rec.Err
	}
	now := time.Now()
	if im.mail {
		d := channels.Delivery{Channel: "mail", Source: strings.TrimPrefix(im.source, "/import/"), Tenant: im.o.tenant, Body: []byte(rec.Raw), Received: now}
		events, err := channels.ForChannel("mail")(&d)
		if err == nil && len(events) == 0 {
			err = errors.New("there are no words in it")
		}
		return events, err
	}
	sum := sha256.Sum256([]byte(rec.Raw))
	e, ps := im.mapping.Event(rec.Get, channels.Origin{Tenant: im.o.tenant, Source: im.source, Received: now,
		ID: fmt.Sprintf("line-%d-%s", rec.Line, hex.EncodeToString(sum[:8]))})
	if len(ps) > 0 {
		return nil, ps
	}
	return []schemas.Event{*e}, nil
}
