-- Where every case and conversation stands in the loop, as numbers: the building block of the views cases, decisions and
-- double_deviations, and of the query loop, which reads it once for all of its figures. People read those.
CREATE OR REPLACE VIEW loops
(
    tenant LowCardinality(String) COMMENT 'Whose customer it is.',
    thread String COMMENT 'The case, else the conversation.',
    channel LowCardinality(String) COMMENT 'Where it began.',
    product_id String COMMENT 'The goods first spoken of; empty: none named.',
    customer_key String COMMENT 'Keyed hash of the customer; empty: unknown.',
    first_at Int64 COMMENT 'When the customer first spoke, in milliseconds; 0: not yet.',
    failed Int64 COMMENT 'When the customer first said something negative, or rated at most 2 of 5; 0: never.',
    responded Int64 COMMENT 'First public answer after that; 0: none.',
    decided Int64 COMMENT 'First decision made after that; 0: none.',
    informed Int64 COMMENT 'When the customer was told after the decision; 0: not yet.',
    resolved Int64 COMMENT 'Last resolution; 0: none.',
    again Int64 COMMENT 'When the customer was let down again after a resolution of the same case; 0: never.',
    letdowns Array(Int64) COMMENT 'When the customer was let down: the first time, and the first after each resolution that followed.',
    initial Tuple(at Int64, follow_up Bool, rating Float32) COMMENT 'First rating by the customer before the follow-up; at is 0: none.',
    follow Tuple(at Int64, follow_up Bool, rating Float32) COMMENT 'Last follow-up rating; at is 0: none.',
    acts Array(Tuple(at Int64, rank UInt8, said LowCardinality(String), due Int64, text String, event_id UUID)) COMMENT 'Steps of the loop, as in threads.',
    decisions Array(Array(Tuple(at Int64, rank UInt8, said LowCardinality(String), due Int64, text String, event_id UUID))) COMMENT 'Of these, those of each decision: it begins with its proposal, or with its making where nobody proposed.',
    promises Array(Tuple(at Int64, rank UInt8, said LowCardinality(String), due Int64, text String, event_id UUID)) COMMENT 'Of the decisions made, those with a promise that no other of the same decision took the place of before it was due.'
)
AS
SELECT
    tenant, thread, channel, product_id, customer_key, first_at,
    failures[1] AS failed,
    if(failed = 0, 0, intDiv(arrayFirst(m -> m % 8 = 3 AND intDiv(m, 8) >= failed, marks), 8)) AS responded,
    if(failed = 0, 0, arrayFirst(a -> a.rank = 3 AND a.at >= failed, acts).at) AS decided,
    if(decided = 0, 0, arrayFirst(a -> a.rank = 5 AND a.at >= decided, acts).at) AS informed,
    arrayLast(a -> a.rank = 4, acts).at AS resolved,
    if(mended = 0, 0, arrayFirst(f -> f > mended, failures)) AS again,
    arrayFilter((f, before) -> before = 0 OR arrayExists(a -> a.rank = 4 AND a.at >= before AND a.at < f, acts),
        failures, arrayPopBack(arrayPushFront(failures, 0))) AS letdowns,
    arrayFirst(r -> NOT r.follow_up AND (follow.at = 0 OR r.at <= follow.at), ratings) AS initial,
    arrayLast(r -> r.follow_up, ratings) AS follow,
    acts,
    arrayFilter(s -> s[1].rank IN (1, 3), arraySplit((a, before) -> a.rank = 1 OR a.rank = 3 AND before = 3, steps,
        arraySlice(arrayPushFront(arrayMap(a -> a.rank, steps), 0), 1, length(steps)))) AS decisions,
    arrayFlatten(arrayMap(d -> arrayFilter((m, after) -> m.due != 0 AND (after = 0 OR after > m.due),
        arrayFilter(a -> a.rank = 3, d), arrayPopFront(arrayPushBack(arrayMap(a -> a.at, arrayFilter(a -> a.rank = 3, d)), 0))), decisions)) AS promises
FROM
(
    SELECT
        *,
        if(failures[1] = 0, 0, arrayFirst(a -> a.rank = 4 AND a.at >= failures[1], acts).at) AS mended,
        arrayFilter(a -> a.rank <= 3, acts) AS talk,
        arraySlice(talk, greatest(arrayFirstIndex(a -> a.rank != 2, talk), 1)) AS steps
    FROM threads
)
