package schemas

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"

	"github.com/cespare/xxhash/v2"
)

// Seal computes the row's digest: 64-bit xxHash of its identity, its place in the log and everything the processors made
// of it. The event itself need not be hashed field by field, because Epoch, Shard and Seq name the one message of the
// log it came from; what could differ between two runs is the labels and the scores, and these are.
// buf is scratch space, returned for the next call.
func (r *Row) Seal(buf []byte) []byte {
	b := append(buf[:0], r.ID[:]...)
	b = binary.LittleEndian.AppendUint64(b, r.Seq)
	b = binary.LittleEndian.AppendUint16(b, r.Shard)
	b = binary.LittleEndian.AppendUint32(b, r.Generation)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Event.Time.UnixMilli()))
	b = appendText(b, r.Epoch)
	b = appendText(b, r.CustomerKey)
	b = appendText(b, r.Event.Data.Text)
	l := &r.Labels
	for _, s := range [...]string{string(l.Polarity), string(l.Sentiment), string(l.Intent), string(l.Element),
		string(l.Urgency), l.Language, string(l.Quality), l.Model} {
		b = appendText(b, s)
	}
	for _, x := range [...]float32{l.Score, l.Confidence, l.Probabilities[0], l.Probabilities[1], l.Probabilities[2],
		l.IntentConfidence, l.ChurnRisk, float32(l.Effort)} {
		b = appendFloat(b, x)
	}
	if l.ResponseNeeded {
		b = append(b, 1)
	}
	for _, s := range l.ChurnReasons {
		b = appendText(b, s)
	}
	for i := range l.Mentions {
		m := &l.Mentions[i]
		for _, s := range [...]string{string(m.Element), string(m.Facet), string(m.S5), m.Theme} {
			b = appendText(b, s)
		}
		b = appendFloat(appendFloat(b, m.Polarity), m.Confidence)
		b = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, m.Start), m.End)
	}
	s := &r.Scores
	for _, axis := range [...][]Score{s.Element[:], s.Facet[:], s.S5[:], {s.Rating, s.CSAT, s.NPS, s.CES}} {
		for _, x := range axis {
			if x.Valid {
				b = appendFloat(b, x.Value)
			} else {
				b = append(b, 0xff)
			}
		}
	}
	b = r.appendLater(b)
	r.Digest = xxhash.Sum64(b)
	return b
}

// appendLater appends what was added to a row after there were rows with digests: only what a row has, each behind a
// number of its own, so that a row without it keeps the digest under which it was stored.
func (r *Row) appendLater(b []byte) []byte {
	l := &r.Labels
	if l.Stage != "" {
		b = appendFloat(appendText(append(b, 1), string(l.Stage)), l.StageConfidence)
	}
	if l.SentimentText != "" {
		b = appendText(append(b, 2), string(l.SentimentText))
	}
	if r.Scores.RatingDisagrees {
		b = append(b, 3)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendFloat(b []byte, x float32) []byte {
	return binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
}

// SumDigests is the digest of a part: the sum of its rows' digests modulo 2^64, which the store can compute as well.
func SumDigests(rows []Row) uint64 {
	var sum uint64
	for i := range rows {
		sum += rows[i].Digest
	}
	return sum
}

// HashDigests is the SHA-256 of the rows' digests in order, in hex: the content digest of a plan.
func HashDigests(rows []Row) string {
	h := sha256.New()
	var b [8]byte
	for i := range rows {
		binary.LittleEndian.PutUint64(b[:], rows[i].Digest)
		h.Write(b[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}
