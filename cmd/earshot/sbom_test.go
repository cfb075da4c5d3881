package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
)

func TestBillOfMaterialsNamesWhatIsLinked(t *testing.T) {
	text, stderr, code := output(t, earshot(t, t.TempDir(), "version", "--sbom"))
	if code != 0 {
		t.Fatalf("code %d: %s", code, stderr)
	}
	if again, _, _ := output(t, earshot(t, t.TempDir(), "version", "--sbom")); again != text {
		t.Error("the same binary prints two documents")
	}
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(strings.NewReader(text), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	listed, refs := map[string]string{}, map[string]bool{}
	for _, c := range *bom.Components {
		if listed[c.Name] = c.Version; refs[c.BOMRef] {
			t.Errorf("%s is listed twice", c.BOMRef)
		}
		refs[c.BOMRef] = true
		if c.Name == "libchdb" && (!strings.HasPrefix(c.PackageURL, "pkg:npm/%40chdb/") || c.Hashes == nil || len((*c.Hashes)[0].Value) != 128) {
			t.Errorf("the library is listed as %s with %v", c.PackageURL, c.Hashes)
		}
	}
	for _, ref := range *(*bom.Dependencies)[0].Dependencies {
		if !refs[ref] {
			t.Errorf("the dependency %s is no component", ref)
		}
	}
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"github.com/ClickHouse/clickhouse-go/v2", "github.com/nats-io/nats.go", "github.com/nats-io/nats-server/v2",
		"github.com/rs/zerolog", "github.com/kelseyhightower/envconfig"} {
		m := regexp.MustCompile(regexp.QuoteMeta(name) + ` (v\S+)`).FindSubmatch(mod)
		if m == nil || listed[name] != string(m[1]) {
			t.Errorf("%s is listed as %q, go.mod has %q", name, listed[name], m)
		}
	}
	for _, name := range []string{"go", "libchdb", "earshot-classifier"} {
		if listed[name] == "" {
			t.Errorf("%s is not listed", name)
		}
	}
	if n := len(*(*bom.Dependencies)[0].Dependencies); n != len(*bom.Components) {
		t.Errorf("%d components and %d dependencies", len(*bom.Components), n)
	}
}
