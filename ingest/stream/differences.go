package stream

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/earshot/earshot/schemas"
)

// merge holds an existing stream against the wanted one. It returns the configuration to update to, nil when there is
// nothing to do, or an error naming every difference that is not ours to change.
func merge(have, want jetstream.StreamConfig) (*jetstream.StreamConfig, error) {
	if err := ours(have); err != nil {
		return nil, err
	}
	const (
		move   = "move its messages to a stream of that kind, or give Earshot a broker or account of its own"
		adopt  = "set it back with the nats tool, or set Earshot's configuration to what the stream has"
		server = "the broker has to be nats-server 2.12 or newer; if it is, the stream was changed: set it back with the nats tool"
	)
	var errs []error
	differ := func(field string, found, wanted any, advice string) {
		errs = append(errs, fmt.Errorf("stream %s: %s: found %v, wanted %v: %s", have.Name, field, found, wanted, advice))
	}
	if !sameSubjects(have.Subjects, want.Subjects) {
		differ("subjects", have.Subjects, want.Subjects, adopt)
	}
	if have.Retention != want.Retention {
		differ("retention", have.Retention, want.Retention, move)
	}
	if have.Storage != want.Storage {
		differ("storage", have.Storage, want.Storage, move)
	}
	if have.Discard != want.Discard {
		differ("discard policy", have.Discard, want.Discard, adopt)
	}
	if have.Replicas != want.Replicas {
		differ("replicas", have.Replicas, want.Replicas, adopt)
	}
	if have.PersistMode != want.PersistMode {
		differ("persist mode", have.PersistMode, want.PersistMode, move)
	}
	if have.AllowAtomicPublish != want.AllowAtomicPublish {
		differ("atomic batch publish", have.AllowAtomicPublish, want.AllowAtomicPublish, server)
	}
	if have.AllowMsgTTL != want.AllowMsgTTL {
		differ("message TTL", have.AllowMsgTTL, want.AllowMsgTTL, server)
	}
	if have.AllowRollup != want.AllowRollup {
		differ("rollup", have.AllowRollup, want.AllowRollup, adopt)
	}
	if have.MaxMsgs > 0 {
		differ("messages at most", have.MaxMsgs, "no limit", adopt)
	}
	if have.MaxMsgsPerSubject > 0 {
		differ("messages per subject at most", have.MaxMsgsPerSubject, "no limit", adopt)
	}
	if have.MaxMsgSize != want.MaxMsgSize {
		differ("message size at most", have.MaxMsgSize, want.MaxMsgSize, adopt)
	}
	if have.Mirror != nil {
		differ("mirror", have.Mirror.Name, "none", adopt)
	}
	if have.Sealed {
		differ("sealed", true, false, move)
	}
	if have.NoAck {
		differ("no acknowledgements", true, false, adopt)
	}
	if have.SubjectTransform != nil {
		differ("subject transform", have.SubjectTransform.Source+" to "+have.SubjectTransform.Destination, "none", adopt)
	}
	if f, w := sources(have), sources(want); !slices.Equal(f, w) {
		differ("sources", f, w, adopt)
	}
	if age(have.MaxAge) > age(want.MaxAge) {
		differ("max age", have.MaxAge, want.MaxAge, "shortening it deletes events; do so with the nats tool when they have been processed")
	}
	if bytes(have.MaxBytes) > bytes(want.MaxBytes) {
		differ("max bytes", have.MaxBytes, want.MaxBytes, "lowering it may delete events; do so with the nats tool when they have been processed")
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if have.MaxAge == want.MaxAge && have.MaxBytes == want.MaxBytes && have.AllowDirect == want.AllowDirect {
		return nil, nil
	}
	next := have
	next.MaxAge, next.MaxBytes, next.AllowDirect = want.MaxAge, want.MaxBytes, want.AllowDirect
	return &next, nil
}

// ours says whether the stream carries our metadata, in a version that is understood here.
func ours(have jetstream.StreamConfig) error {
	v, ok := have.Metadata[SchemaKey]
	if !ok || have.Metadata[schemas.EpochKey] == "" {
		return fmt.Errorf("stream %s: metadata: found no %s and %s, wanted both: the stream is not Earshot's; rename or remove it, or give Earshot a broker or account of its own", have.Name, SchemaKey, schemas.EpochKey)
	}
	if n, err := strconv.Atoi(v); err != nil || n != SchemaVersion {
		return fmt.Errorf("stream %s: metadata %s: found %s, wanted %d: run the version of Earshot that made the stream, or a newer one", have.Name, SchemaKey, v, SchemaVersion)
	}
	return nil
}

func sameSubjects(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func sources(c jetstream.StreamConfig) []string {
	var out []string
	for _, s := range c.Sources {
		out = append(out, s.Name+" "+s.FilterSubject)
	}
	return out
}

// age and bytes make the server's two words for "no limit" the largest limit.
func age(d time.Duration) time.Duration {
	if d <= 0 {
		return 1<<63 - 1
	}
	return d
}

func bytes(n int64) int64 {
	if n <= 0 {
		return 1<<63 - 1
	}
	return n
}
