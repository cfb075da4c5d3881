package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// customerKeyPath is where the first version of the secret of customer keys is; version n is beside it, with .n added.
func customerKeyPath(c *Config, dir string) (string, error) {
	switch {
	case c.CustomerKeyFile != "":
		return c.CustomerKeyFile, nil
	case dir == "":
		return "", errors.New("EARSHOT_CUSTOMER_KEY_FILE is not set: with outside servers every process must be given the same secret file")
	}
	return filepath.Join(dir, keyFile), nil
}

func versionPath(path string, version int) string {
	if version == 1 {
		return path
	}
	return fmt.Sprintf("%s.%d", path, version)
}

// customerKeys reads the secrets of customer keys, the first version first; in a data folder of our own the first is made
// when it is missing.
func customerKeys(c *Config, dir string) ([][]byte, error) {
	path, err := customerKeyPath(c, dir)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for version := 1; ; version++ {
		secret, err := readPrivate(versionPath(path, version), "the customer key")
		if version == 1 && errors.Is(err, os.ErrNotExist) && c.CustomerKeyFile == "" {
			secret, err = makeKeyFile(path)
		}
		switch {
		case version > 1 && errors.Is(err, os.ErrNotExist):
			return out, nil
		case err != nil:
			return nil, err
		}
		out = append(out, secret)
	}
}

// makeKeyFile writes a new secret where there is no file yet.
func makeKeyFile(path string) ([]byte, error) {
	secret := make([]byte, 32)
	rand.Read(secret)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(secret)
	return secret, errors.Join(err, f.Sync(), f.Close())
}

// rotateCustomerKey makes the next version of the secret and returns its number and file.
func rotateCustomerKey(c *Config, dir string) (version int, path string, err error) {
	secrets, err := customerKeys(c, dir)
	if err != nil {
		return 0, "", err
	}
	if path, err = customerKeyPath(c, dir); err != nil {
		return 0, "", err
	}
	version = len(secrets) + 1
	path = versionPath(path, version)
	if _, err = makeKeyFile(path); err != nil {
		return 0, "", fmt.Errorf("make the next customer key: %w", err)
	}
	return version, path, nil
}
