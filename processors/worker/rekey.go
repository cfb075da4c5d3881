package worker

import (
	"context"
	"fmt"

	"github.com/earshot/earshot/processors/privacy"
)

// KeyVersions knows which version of the secret of customer keys the rows of a generation bear.
type KeyVersions interface {
	KeyVersion(ctx context.Context, generation uint32) (int, error)
	// NoteKeyVersion writes down which it is going to be; it is called before the first row.
	NoteKeyVersion(ctx context.Context, generation uint32, version int) error
}

// keyVersion is the version with which a worker makes the keys of a generation's rows.
func keyVersion(ctx context.Context, k KeyVersions, keyer *privacy.Keyer, generation uint32) (int, error) {
	if k == nil {
		return 1, nil
	}
	v, err := k.KeyVersion(ctx, generation)
	if err == nil && v > 1 && (keyer == nil || v > keyer.Version()) {
		err = fmt.Errorf("the rows of generation %d bear customer keys of version %d, whose secret is not here: copy customer.key.%d of the node that rotated it beside customer.key, and restart", generation, v, v)
	}
	return v, err
}

// rekeying returns what brings the customer keys of the live generation's rows to those of the one that is being brought in.
// Keys go forward only: a generation with a former secret cannot be gone back to.
func (r *Reclassifier) rekeying(ctx context.Context, generation uint32) (func(key, tenant string) string, error) {
	from, err := keyVersion(ctx, r.cfg.Keys, r.cfg.Keyer, r.rec.Live)
	if err != nil {
		return nil, err
	}
	to, err := keyVersion(ctx, r.cfg.Keys, r.cfg.Keyer, generation)
	switch {
	case err != nil:
		return nil, err
	case from > to:
		return nil, fmt.Errorf("generation %d has customer keys of version %d, which cannot be made of those of version %d: %w", generation, to, from, ErrNoWayBack)
	case from == to:
		return func(key, _ string) string { return key }, nil
	}
	return func(key, tenant string) string { return r.cfg.Keyer.Rekey(key, tenant, from, to) }, nil
}
