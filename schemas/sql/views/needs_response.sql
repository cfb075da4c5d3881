-- What customers said that expects an answer and has none yet: no public answer of a person, no word to the customer and no
-- resolution of the case or conversation since. Bots and internal notes are no answers. It is the view due word by word: the
-- same waits, one row for each message in them. Ask for the oldest first.
CREATE OR REPLACE VIEW needs_response
(
    tenant LowCardinality(String) COMMENT 'Whose customer it is.',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it was said.',
    waiting_seconds Int64 COMMENT 'How long ago that is.',
    channel LowCardinality(String) COMMENT 'Where it was said.',
    urgency LowCardinality(String) COMMENT 'low, medium or high.',
    intent LowCardinality(String) COMMENT 'What the customer wants to achieve.',
    churn_risk Float32 COMMENT 'How likely the customer is about to leave, 0 to 1.',
    polarity LowCardinality(String) COMMENT 'negative, neutral or positive.',
    text String COMMENT 'What was said.',
    customer_key String COMMENT 'Keyed hash of the customer; empty: unknown.',
    case_id String COMMENT 'The case.',
    conversation_id String COMMENT 'The conversation.',
    uri String COMMENT 'Where it can be seen.',
    event_id UUID COMMENT 'The event.',
    thread String COMMENT 'The case, else the conversation, else source#id of the event.',
    first Bool COMMENT 'Whether the customer has never been answered in this case since it was opened.',
    waiting_since DateTime64(3, 'UTC') COMMENT 'When the wait began to which this belongs.'
)
AS
SELECT
    tenant, fromUnixTimestamp64Milli(word.at) AS occurred_at, dateDiff('second', occurred_at, now64(3, 'UTC')) AS waiting_seconds, word.channel AS channel, word.urgency AS urgency,
    word.intent AS intent, word.churn_risk AS churn_risk, word.polarity AS polarity, word.text AS text, customer_key,
    word.case_id AS case_id, word.conversation_id AS conversation_id, word.uri AS uri, word.event_id AS event_id, thread,
    NOT arrayExists(m -> m > resolved AND m < ended AND (m % 8 = 2 OR m % 8 = 1 AND intDiv(m, 8) = first_at), marks) AS first,
    fromUnixTimestamp64Milli(if(first_at * 8 > ended, first_at, open_words[1].at)) AS waiting_since
FROM
(
    SELECT
        tenant, thread, customer_key, first_at, marks, arrayLast(m -> m % 8 IN (3, 4), marks) AS ended, arrayLast(m -> m % 8 = 4, marks) AS resolved,
        arrayFilter(a -> a.at * 8 + 2 > ended, asked) AS open_words
    FROM threads
    WHERE first_at > 0
)
ARRAY JOIN open_words AS word
UNION ALL
SELECT
    tenant, at AS occurred_at, dateDiff('second', at, now64(3, 'UTC')) AS waiting_seconds, channel, urgency, intent, churn_risk, polarity, text, customer_key,
    '' AS case_id, '' AS conversation_id, uri, event_id, thread, true AS first, at AS waiting_since
FROM lone_waits
WHERE expects
