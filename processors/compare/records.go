package compare

import (
	"context"
	"fmt"
	"time"

	"github.com/earshot/earshot/schemas"
)

// How the log is read: so many records and bytes at a time. After idle without a record there are no more: what is compared
// was all dealt with, so it is there or was removed.
const (
	readRecords = 4000
	readBytes   = 8 << 20
	readIdle    = 500 * time.Millisecond
)

// records hands out the records of the log one by one.
type records struct {
	log   Log
	after uint64
	read  []schemas.Record
	ended bool
}

// next returns the next record up to a sequence; false: there is none, or it is beyond.
func (r *records) next(ctx context.Context, hi uint64) (schemas.Record, bool, error) {
	if len(r.read) == 0 && !r.ended && r.after < hi {
		read, err := r.log.Read(ctx, r.after, readRecords, readBytes, readIdle, 0)
		if err != nil {
			return schemas.Record{}, false, fmt.Errorf("read the log after %d: %w", r.after, err)
		}
		r.read, r.ended = read, len(read) == 0
	}
	if len(r.read) == 0 || r.read[0].Seq > hi {
		return schemas.Record{}, false, nil
	}
	rec := r.read[0]
	r.read, r.after = r.read[1:], rec.Seq
	return rec, true, nil
}
