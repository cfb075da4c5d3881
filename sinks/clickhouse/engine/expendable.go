package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// The library renames the definition of a database or table into place although it could not be written (see the note on failed
// writes), and an engine that finds an empty one does not start. For what can be made again at any time that would be too high
// a price.

// tableID finds where a table's data are in its definition.
var tableID = regexp.MustCompile(`UUID '(([0-9a-f]{3})[0-9a-f]{5}-[0-9a-f-]{27})'`)

// defined says whether a definition was written to its end.
func defined(file string) (text []byte, ok bool, err error) {
	text, err = os.ReadFile(file)
	return text, bytes.HasPrefix(text, []byte("ATTACH ")) && bytes.HasSuffix(text, []byte("\n")), err
}

// dropDamaged removes a database from the directory of an engine that is not open, with the data of its tables, if one of its
// definitions is damaged, and says whether it was.
func dropDamaged(dir, database string) (dropped bool, err error) {
	own, folder := filepath.Join(dir, "metadata", database+".sql"), filepath.Join(dir, "metadata", database)
	_, whole, err := defined(own)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look at the definition of database %s: %w", database, err)
	}
	tables, err := filepath.Glob(filepath.Join(folder, "*.sql"))
	if err != nil {
		return false, err
	}
	var data []string
	for _, file := range tables {
		text, ok, err := defined(file)
		if err != nil {
			return false, fmt.Errorf("look at the definitions of database %s: %w", database, err)
		}
		whole = whole && ok
		if m := tableID.FindSubmatch(text); m != nil {
			data = append(data, filepath.Join(dir, "store", string(m[2]), string(m[1])))
		}
	}
	if whole {
		return false, nil
	}
	// The folder is a link to where the definitions are. The definition of the database goes last: who is cut off begins again.
	if target, err := filepath.EvalSymlinks(folder); err == nil {
		data = append(data, target)
	}
	for _, path := range append(data, folder, own) {
		if err := os.RemoveAll(path); err != nil {
			return false, fmt.Errorf("remove what is left of database %s: %w", database, err)
		}
	}
	return true, nil
}

// openDirectory opens the directory, without the expendable database if that is damaged.
func (e *Engine) openDirectory() (*conn, error) {
	if name := e.cfg.Expendable; name != "" {
		switch dropped, err := dropDamaged(e.cfg.Dir, name); {
		case err != nil:
			return nil, err
		case dropped:
			e.cfg.Logger.Warn().Str("database", name).Msg("a definition in it was damaged by a write that failed: it was dropped, and can be made again")
		}
	}
	return dial(e.abi, e.args)
}
