package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/sinks/clickhouse/engine"
)

type versionOptions struct{ json, sbom bool }

func versionCommand() command {
	return command{
		name: "version", summary: "print the version and what it is built from",
		help: "Prints the version, the Go release, the pinned engine and the classifier's model. With --sbom: everything this binary is\nbuilt from, as a CycloneDX document.\nExample: earshot version --json",
		flags: func(fs *flag.FlagSet) any {
			o := &versionOptions{}
			fs.BoolVar(&o.json, "json", false, "print one JSON object")
			fs.BoolVar(&o.sbom, "sbom", false, "print a bill of materials (CycloneDX 1.6, JSON)")
			return o
		},
		run: func(_ context.Context, env *environment, opts any, args []string) error {
			if err := nothingAfter(args); err != nil {
				return err
			}
			v, err := versions()
			if err != nil {
				return err
			}
			o := opts.(*versionOptions)
			if o.sbom {
				return writeSBOM(env.stdout, v)
			}
			if o.json {
				return json.NewEncoder(env.stdout).Encode(v)
			}
			fmt.Fprintf(env.stdout, "earshot %s\n  revision   %s\n  go         %s\n  platform   %s\n  clickhouse engine package %s\n  classifier %s\n", v.Version, v.Revision, v.Go, v.Platform, v.Engine, v.Model)
			return nil
		},
	}
}

// version is the release this tree is or becomes.
const version = "0.1.0"

type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Engine   string `json:"engine"`
	Model    string `json:"model"`
}

func versions() (versionInfo, error) {
	c, err := classify.Load()
	if err != nil {
		return versionInfo{}, err
	}
	return versionInfo{version, revision(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, engine.Version, c.Model()}, nil
}

// revision is the commit the binary was built from, where the build recorded one.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "unknown"
}

// buildInfo is the metric that says which version runs.
func buildInfo() prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "earshot_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision(), "go": runtime.Version()},
	})
	g.Set(1)
	return g
}
