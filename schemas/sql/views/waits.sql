-- Every time a customer waited for an answer: from when the customer spoke, not from when a ticket was opened, to the next public
-- answer by a person. Messages in a row are one wait. The first wait of a case or conversation begins with the customer's first
-- word in it; a later one with the first that expects an answer, so that thanks are no wait. What begins after a resolution
-- belongs to a new cycle. A first wait in which nothing expects an answer counts only once it was answered.
--
-- A resolution is no answer: a wait that ended so has a closed_at and no answered_at, unless an answer came later.
CREATE OR REPLACE VIEW waits
(
    tenant LowCardinality(String) COMMENT 'Whose customer it is.',
    thread String COMMENT 'The case, else the conversation, else source#id of the event.',
    cycle UInt32 COMMENT 'Which opening of the case, from 1; a reopened case begins another.',
    first Bool COMMENT 'Whether it is the first wait of its cycle: the first response answers it. Later ones: the next response.',
    started_at DateTime64(3, 'UTC') COMMENT 'When the customer spoke.',
    answered_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When a person answered in public; NULL: nobody did.',
    closed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the case was resolved before an answer; NULL: it was not.',
    channel LowCardinality(String) COMMENT 'Where the case or conversation began.',
    product_id String COMMENT 'The goods first spoken of; empty: none named.',
    customer_key String COMMENT 'Keyed hash of the customer; empty: unknown.'
)
AS
SELECT
    tenant, thread, wait.1 AS cycle, wait.2 AS first, fromUnixTimestamp64Milli(wait.3) AS started_at,
    if(wait.4 = 0, NULL, fromUnixTimestamp64Milli(wait.4)) AS answered_at,
    if(wait.5 = 0, NULL, fromUnixTimestamp64Milli(wait.5)) AS closed_at,
    channel, product_id, customer_key
FROM
(
    SELECT
        tenant, thread, channel, product_id, customer_key,
        arrayFilter(m -> m % 8 != 5, marks) AS moves,
        arrayFilter(o -> o > 0, arrayMap(s -> arrayFirst(m -> m % 8 IN (2, 5) OR intDiv(m, 8) = first_at AND m % 8 = 1, s),
            arrayReverseSplit(m -> m % 8 = 4, marks))) AS openings,
        arrayFilter(w -> w.1 > 0, arrayMap(s -> (
            -- when it began; 0: no wait
            if(intDiv(arrayFirst(m -> m % 8 IN (1, 2), s), 8) = first_at AND (arrayExists(m -> m % 8 = 2, s) OR s[-1] % 8 = 3),
                first_at, intDiv(arrayFirst(m -> m % 8 = 2, s), 8)),
            if(s[-1] % 8 = 3, intDiv(s[-1], 8), 0),
            intDiv(arrayFirst(m -> m % 8 = 4, s), 8)),
            arraySplit((m, before) -> before % 8 = 3 OR m % 8 IN (1, 2) AND before % 8 = 4, moves, arraySlice(arrayPushFront(moves, 0), 1, length(moves))))) AS spans,
        arrayMap(w -> greatest(arrayCount(o -> intDiv(o, 8) <= w.1, openings), 1), spans) AS cycles,
        arrayMap((w, c, i) -> (c, i = 1 OR cycles[i - 1] != c, w.1, w.2, w.3), spans, cycles, arrayEnumerate(spans)) AS found
    FROM threads
    WHERE first_at > 0
)
ARRAY JOIN found AS wait
UNION ALL
SELECT tenant, thread, 1 AS cycle, true AS first, at AS started_at, NULL AS answered_at, NULL AS closed_at, channel, product_id, customer_key
FROM lone_waits
WHERE expects
