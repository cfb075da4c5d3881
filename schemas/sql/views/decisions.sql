-- Every decision about a case: what was proposed, what the customer said to it, what was decided, by when it was promised, and
-- whether the promise was kept. A proposal begins a decision; a decision that is made without a proposal is one in which the
-- customer took no part. The verdict that counts is the last one before the next proposal. A promise is kept when the case was
-- resolved by the time promised. Decisions about a theme and no case are in the table feedback only.
CREATE OR REPLACE VIEW decisions
(
    tenant LowCardinality(String) COMMENT 'Whose customer it is.',
    thread String COMMENT 'The case.',
    decided_at DateTime64(3, 'UTC') COMMENT 'When it was proposed, or made without a proposal.',
    proposed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was proposed; NULL: it was not.',
    proposal String COMMENT 'What was proposed.',
    verdict LowCardinality(String) COMMENT 'The customer\'s: agree, disagree or counter; empty: none.',
    verdict_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the customer gave it.',
    made_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was made; NULL: not yet.',
    outcome LowCardinality(String) COMMENT 'What was decided: fix, refund, replace, explain, improve or decline; empty: nothing yet.',
    promise_due Nullable(DateTime64(3, 'UTC')) COMMENT 'Until when it was promised; NULL: nothing was promised.',
    fulfilled_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the case was resolved after that; NULL: not yet.',
    kept Nullable(Bool) COMMENT 'Whether it was kept; NULL: nothing was promised, or it is not due yet.',
    informed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the customer was told after it was made; NULL: not yet.',
    channel LowCardinality(String) COMMENT 'Where the case began.',
    customer_key String COMMENT 'Keyed hash of the customer; empty: unknown.'
)
AS
SELECT
    tenant, thread, fromUnixTimestamp64Milli(decision[1].at) AS decided_at,
    if(decision[1].rank = 1, decided_at, NULL) AS proposed_at, if(decision[1].rank = 1, decision[1].text, '') AS proposal,
    answer.said AS verdict, if(answer.at = 0, NULL, fromUnixTimestamp64Milli(answer.at)) AS verdict_at,
    if(made.at = 0, NULL, fromUnixTimestamp64Milli(made.at)) AS made_at, made.said AS outcome,
    if(made.due = 0, NULL, fromUnixTimestamp64Milli(made.due)) AS promise_due,
    if(fulfilled = 0, NULL, fromUnixTimestamp64Milli(fulfilled)) AS fulfilled_at,
    if(promise_due IS NULL OR promise_due > now64(3, 'UTC'), NULL, ifNull(fulfilled_at <= promise_due, false)) AS kept,
    if(told = 0, NULL, fromUnixTimestamp64Milli(told)) AS informed_at, channel, customer_key
FROM
(
    SELECT
        tenant, thread, channel, customer_key, decision,
        arrayLast(a -> a.rank = 2, decision) AS answer, arrayLast(a -> a.rank = 3, decision) AS made,
        if(made.at = 0, 0, arrayFirst(a -> a.rank = 4 AND a.at >= made.at, acts).at) AS fulfilled,
        if(made.at = 0, 0, arrayFirst(a -> a.rank = 5 AND a.at >= made.at, acts).at) AS told
    FROM loops
    ARRAY JOIN decisions AS decision
)
