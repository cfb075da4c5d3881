package schemas_test

import (
	"testing"

	"github.com/earshot/earshot/schemas"
)

func TestLetterIDsAreReadAsTheyAreWritten(t *testing.T) {
	for _, c := range []struct {
		text string
		want schemas.LetterID
		ok   bool
	}{
		{"ABC-0-12", schemas.LetterID{Epoch: "ABC", Seq: 12}, true},
		{"a-b-3-12", schemas.LetterID{Epoch: "a-b", Shard: 3, Seq: 12}, true},
		{"3-12", schemas.LetterID{Shard: 3, Seq: 12}, true},
		{"outbox-alerts-12", schemas.LetterID{Epoch: schemas.AlertEpoch, Shard: schemas.AlertShard, Seq: 12}, true},
		{"alerts-12", schemas.LetterID{Shard: schemas.AlertShard, Seq: 12}, true},
		{"alerts-0", schemas.LetterID{}, false},
		{"3-0", schemas.LetterID{}, false},
		{"x-12", schemas.LetterID{}, false},
		{"12", schemas.LetterID{}, false},
		{"", schemas.LetterID{}, false},
		{"ABC-0-12x", schemas.LetterID{}, false},
	} {
		got, ok := schemas.ParseLetterID(c.text)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%q is read as %+v, %v", c.text, got, ok)
		}
		if ok && got.Epoch != "" && got.String() != c.text || ok && got.Epoch == "" && got.Short() != c.text {
			t.Errorf("%q is written as %s or %s", c.text, got, got.Short())
		}
	}
}
