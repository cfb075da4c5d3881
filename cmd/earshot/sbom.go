package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"runtime/debug"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"

	"github.com/earshot/earshot/sinks/clickhouse/engine"
)

// writeSBOM lists what the binary is built from and what it loads: its modules, as the linker recorded them, the Go release,
// the engine library, which is fetched apart, and the classifier's model. The document has no time and no random number, so
// that the same binary always prints the same.
func writeSBOM(w io.Writer, v versionInfo) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("this binary was built without module information: build it with 'go build' in module mode")
	}
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{Component: &cyclonedx.Component{
		BOMRef: "earshot", Type: cyclonedx.ComponentTypeApplication, Name: "earshot", Version: v.Version,
		PackageURL: "pkg:golang/github.com/earshot/earshot@v" + v.Version,
		Licenses:   &cyclonedx.Licenses{{License: &cyclonedx.License{ID: "Apache-2.0"}}},
		Properties: &[]cyclonedx.Property{{Name: "earshot:revision", Value: v.Revision}, {Name: "earshot:platform", Value: v.Platform}},
	}}
	components := []cyclonedx.Component{
		{BOMRef: "go", Type: cyclonedx.ComponentTypePlatform, Name: "go", Version: v.Go, PackageURL: "pkg:golang/std@" + strings.TrimPrefix(v.Go, "go")},
		engineLibrary(v.Engine),
		{BOMRef: "model", Type: cyclonedx.ComponentTypeMachineLearningModel, Name: "earshot-classifier", Version: v.Model},
	}
	refs := []string{"go", "libchdb", "model"}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		ref := fmt.Sprintf("pkg:golang/%s@%s", m.Path, url.QueryEscape(m.Version))
		c := cyclonedx.Component{BOMRef: ref, Type: cyclonedx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, PackageURL: ref}
		if m.Sum != "" { // Go's own sum over the files of a module; CycloneDX has no name for it
			c.Properties = &[]cyclonedx.Property{{Name: "golang:sum", Value: m.Sum}}
		}
		components, refs = append(components, c), append(refs, ref)
	}
	bom.Components = &components
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: "earshot", Dependencies: &refs}}
	return cyclonedx.NewBOMEncoder(w, cyclonedx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cyclonedx.SpecVersion1_6)
}

// engineLibrary is the engine, which is loaded at run time. Its digest is that of the package in which it comes.
func engineLibrary(version string) cyclonedx.Component {
	c := cyclonedx.Component{BOMRef: "libchdb", Type: cyclonedx.ComponentTypeLibrary, Name: "libchdb", Version: version,
		Description: "ClickHouse as a library, loaded at run time; its npm package is held to the digest before it is used"}
	if name, sum := engine.Package(); name != "" {
		c.PackageURL = "pkg:npm/" + strings.Replace(name, "@", "%40", 1) + "@" + version
		c.Hashes = &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA512, Value: sum}}
	}
	return c
}
