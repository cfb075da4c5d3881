package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/classify/train"
	"github.com/earshot/earshot/processors/privacy"
)

type adaptOptions struct {
	tenant, out string
	dry         bool
}

func adaptCommand() command {
	return command{
		name: "adapt", args: "[FILE]", summary: "let the classifier learn from a tenant's corrections",
		help: "Learns from the label.corrected events of the table, or from FILE ({\"text\":…,\"axis\":…,\"new_value\":…} a line), with the\nshipped model as prior. Says how it does on corrections held back, and refuses a model that is no better. The new\nmodel is kept in the data folder and used for that tenant from the next start of the workers on.\nExample: earshot adapt --tenant acme corrections.jsonl",
		flags: func(fs *flag.FlagSet) any {
			o := &adaptOptions{}
			fs.StringVar(&o.tenant, "tenant", "", "whose corrections; needed")
			fs.StringVar(&o.out, "out", "", "model file to write; empty: the next version in the data folder")
			fs.BoolVar(&o.dry, "dry-run", false, "say what would come of it and write nothing")
			return o
		},
		run: func(ctx context.Context, env *environment, opts any, args []string) error {
			o := opts.(*adaptOptions)
			if !plainName(o.tenant) {
				return usagef("adapt needs --tenant with the tenant's name")
			}
			if len(args) > 1 {
				return usagef("adapt takes one file, or none")
			}
			return adapt(ctx, env, o, args)
		},
	}
}

// plainName keeps a tenant's name from leaving the folder of models.
func plainName(s string) bool {
	return s != "" && s[0] != '.' && !strings.ContainsAny(s, "/\\\x00")
}

func adapt(ctx context.Context, env *environment, o *adaptOptions, args []string) error {
	corrections, left, err := corrections(ctx, env, o, args)
	if err != nil {
		return err
	}
	c, err := classify.Load()
	if err != nil {
		return err
	}
	h, outcomes := train.Adapt(c, corrections, o.tenant, time.Now().UTC().Format(time.DateOnly))
	if left > 0 {
		fmt.Fprintf(env.stdout, "%d corrections are of labels that no head gives, or name no text: left out\n", left)
	}
	for _, x := range outcomes {
		fmt.Fprintf(env.stdout, "%-28s %5d corrections, held back in turn: macro-F1 %.3f before, %.3f after; accuracy %.3f, %.3f", x.Head, x.N, x.Before, x.After, x.Accuracy[0], x.Accuracy[1])
		if !x.Taken {
			fmt.Fprintf(env.stdout, " – not taken: %s", x.Reason)
		}
		fmt.Fprintln(env.stdout)
	}
	switch {
	case h == nil && len(outcomes) == 0:
		return errors.New("adapt: there are no corrections of this tenant; send label.corrected events, or give a file")
	case h == nil:
		return errors.New("adapt: no head got better, so the model stays as it is; give more corrections")
	case o.dry:
		return nil
	}
	out := o.out
	if out == "" {
		if out, err = nextModel(&env.config, o.tenant); err != nil {
			return err
		}
	}
	return writeModel(env, c, h, out)
}

// corrected is the newest correction of each label with the text that it is about.
const corrected = `SELECT f.text AS text, f.language AS lang, c.axis AS axis, c.new_value AS new_value
FROM (SELECT event_ref, axis, argMax(new_value, (occurred_at, seq)) AS new_value FROM feedback_current
      WHERE tenant = {tenant:String} AND kind = 'label.corrected' GROUP BY event_ref, axis) AS c
INNER JOIN (SELECT concat(source, '#', source_event_id) AS ref, text, language FROM feedback_current
      WHERE tenant = {tenant:String} AND text != '') AS f ON f.ref = c.event_ref
ORDER BY c.event_ref, c.axis`

func corrections(ctx context.Context, env *environment, o *adaptOptions, args []string) (out []train.Correction, left int, err error) {
	if len(args) == 1 {
		in, name, err := openInput(env, args)
		if err != nil {
			return nil, 0, err
		}
		defer in.Close()
		out, left, err = train.ReadCorrections(in)
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", name, err)
		}
		return out, left, nil
	}
	var opened closers
	defer func() { err = opened.closeAfter(err) }()
	store, _, err := locateStore(ctx, env, newLogger(&env.config, env.stderr).Level(warnLevel), &opened)
	if err != nil {
		return nil, 0, err
	}
	var rows bytes.Buffer
	if err := store.Query(ctx, corrected, map[string]string{"tenant": o.tenant}, "JSONEachRow", &rows); err != nil {
		return nil, 0, err
	}
	return train.ReadCorrections(strings.NewReader(privacy.Neutral(rows.String())))
}

// modelFolder is where the adapted models of a tenant are kept, one file a version: 0001.bin, 0002.bin, ….
func modelFolder(c *Config, tenant string) string {
	return filepath.Join(c.DataDir, "models", tenant)
}

// nextModel makes the tenant's folder and returns the file of the next version.
func nextModel(c *Config, tenant string) (string, error) {
	if _, err := c.makeDataDir(); err != nil {
		return "", err
	}
	folder := modelFolder(c, tenant)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("make the folder of models: %w", err)
	}
	last, err := lastModel(folder)
	if err != nil {
		return "", err
	}
	return filepath.Join(folder, fmt.Sprintf("%04d.bin", last+1)), nil
}

// lastModel returns the newest version in a folder of models, 0 if there is none.
func lastModel(folder string) (int, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return 0, fmt.Errorf("read the folder of models: %w", err)
	}
	last := 0
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".bin")
		if n, err := strconv.Atoi(name); ok && err == nil {
			last = max(last, n)
		}
	}
	return last, nil
}

// tenantModels loads the newest adapted model of every tenant that has one.
func tenantModels(c *Config, shipped *classify.Classifier) (map[string]*classify.Classifier, error) {
	entries, err := os.ReadDir(filepath.Join(c.DataDir, "models"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the folder of models: %w", err)
	}
	out := map[string]*classify.Classifier{}
	for _, e := range slices.DeleteFunc(entries, func(e os.DirEntry) bool { return !e.IsDir() }) {
		folder := modelFolder(c, e.Name())
		last, err := lastModel(folder)
		if err != nil {
			return nil, err
		}
		if last == 0 {
			continue
		}
		name := filepath.Join(folder, fmt.Sprintf("%04d.bin", last))
		file, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read model: %w", err)
		}
		h, err := classify.UnmarshalHeads(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w; remove the file to go back to the version before", name, err)
		}
		out[e.Name()] = shipped.With(h)
	}
	return out, nil
}
