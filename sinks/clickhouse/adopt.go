package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/earshot/earshot/schemas"
)

// firstly is what a change takes over from the row of what was said first, as the column said_first holds it; what is empty is left out.
// The kind of a row that was superseded is in its own column said_first, or not known.
const firstly = "mapFilter((k, v) -> v != '', map(" +
	"'ref', concat(source, '#', source_event_id), 'occurred_at', toString(toUnixTimestamp64Milli(occurred_at)), 'kind', multiIf(kind != 'superseded', toString(kind), said_first['kind'] != '', said_first['kind'], 'feedback.updated'), " +
	"'actor_kind', toString(actor_kind), 'visibility', toString(visibility), 'case_id', case_id, 'conversation_id', conversation_id, " +
	"'correlation_id', correlation_id, 'causation_id', causation_id, 'product_id', product_id, 'verdict', toString(verdict), 'outcome', toString(outcome), " +
	"'promise_due', ifNull(toString(toUnixTimestamp64Milli(promise_due)), ''), 'decision_text', decision_text))"

// adopted is what the row of a change is set to from what it has taken over: place and speaker always, because a change moves nothing
// and is made by who said it; the rest where it says nothing of it.
const adopted = "actor_kind = said_first['actor_kind'], visibility = said_first['visibility'], case_id = said_first['case_id'], " +
	"conversation_id = said_first['conversation_id'], correlation_id = said_first['correlation_id'], causation_id = said_first['causation_id'], " +
	"product_id = if(product_id = '', said_first['product_id'], product_id), verdict = if(verdict = '', said_first['verdict'], verdict), " +
	"outcome = if(outcome = '', said_first['outcome'], outcome), decision_text = if(decision_text = '', said_first['decision_text'], decision_text), " +
	"promise_due = if(promise_due IS NULL, fromUnixTimestamp64Milli(toInt64OrNull(said_first['promise_due']), 'UTC'), promise_due)"

// Adopt lets changes, in all classifications, take over from what was said first what they do not say themselves. generation is
// one in which both are. The statement, which the server writes down, names places and identities only: what is taken over is
// read by the server, which works the two commands of one statement off one after the other, part by part: a row has all of it or
// nothing. Doing it again changes nothing.
func (s *Store) Adopt(ctx context.Context, generation uint32, rows []schemas.Adoption) error {
	by := map[stream][]schemas.Adoption{}
	for _, r := range rows {
		k := stream{r.Epoch, r.Shard}
		by[k] = append(by[k], r)
	}
	for _, own := range by {
		for chunk := range slices.Chunk(own, withdrawChunk/2) { // each identity stands there twice
			traces := make([]schemas.Trace, len(chunk))
			seqs, firsts := make([]string, len(chunk)), make([]string, len(chunk))
			for i, r := range chunk {
				traces[i], seqs[i], firsts[i] = r.Trace, fmt.Sprint(r.Seq), literal(r.First.String())
			}
			list := strings.Join(firsts, ", ")
			err := s.alter(ctx, fmt.Sprintf("said_first = (SELECT mapFromArrays(groupArray(event_id), groupArray(taken)) FROM (SELECT event_id, %s AS taken FROM %s WHERE generation = %d AND event_id IN (%s) AND kind != %s LIMIT 1 BY event_id))[toUUID(transform(seq, [%s], [%s], %s))]",
				firstly, table, generation, list, literal(string(schemas.Erased)), strings.Join(seqs, ", "), list, literal(uuid.Nil.String())), traces, adopted)
			if err != nil {
				return wrap("let changes take over what was said first", err)
			}
		}
	}
	return nil
}
