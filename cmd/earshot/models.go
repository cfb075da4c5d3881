package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/earshot/earshot/processors/classify"
)

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
	versions, err := modelVersions(folder)
	if err != nil {
		return "", err
	}
	return modelFile(folder, slices.Max(append(versions, 0))+1), nil
}

func modelFile(folder string, version int) string {
	return filepath.Join(folder, fmt.Sprintf("%04d.bin", version))
}

// modelVersions returns the versions in a folder of models, the newest first.
func modelVersions(folder string) (out []int, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the folder of models: %w", err)
	}
	for _, e := range entries {
		name, _ := strings.CutSuffix(e.Name(), ".bin")
		if n, err := strconv.Atoi(name); err == nil && n > 0 && filepath.Base(modelFile(folder, n)) == e.Name() {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b int) int { return b - a })
	return out, nil
}

// soundModel loads the newest version in a folder of models that can be read, nil where there is none. What is wrong with
// newer ones is returned, with what to do.
func soundModel(folder string, shipped *classify.Classifier) (own *classify.Classifier, damaged []error) {
	versions, err := modelVersions(folder)
	if err != nil {
		return nil, []error{fmt.Errorf("%w; the shipped model serves until it can be read", err)}
	}
	for _, n := range versions {
		h, err := readModel(modelFile(folder, n))
		if err == nil {
			return shipped.With(h), damaged
		}
		damaged = append(damaged, fmt.Errorf("%w; the model before it serves: run 'earshot adapt' again, or remove the file, and restart", err))
	}
	return nil, damaged
}

// tenantModels loads the newest adapted model of every tenant that has one. A file that cannot be read stops nobody: it is
// among the damaged, and the version before it serves its tenant, or the shipped model.
func tenantModels(c *Config, shipped *classify.Classifier) (models map[string]*classify.Classifier, damaged []error) {
	models = map[string]*classify.Classifier{}
	entries, err := os.ReadDir(modelFolder(c, ""))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, []error{fmt.Errorf("read the folder of models: %w; the shipped model serves every tenant until it can be read", err)}
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		own, faults := soundModel(modelFolder(c, e.Name()), shipped)
		if own != nil {
			models[e.Name()] = own
		}
		damaged = append(damaged, faults...)
	}
	return models, damaged
}

// readModel reads a model file.
func readModel(name string) (*classify.Heads, error) {
	file, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	h, err := classify.UnmarshalHeads(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return h, nil
}
