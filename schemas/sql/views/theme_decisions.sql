-- What was decided about each theme or need, as it stands: the newest of the decisions proposed, made or shipped that name it,
-- and what customers said of them, each customer's newest verdict counted once. Decisions about single cases are not here.
CREATE OR REPLACE VIEW theme_decisions
(
    tenant LowCardinality(String) COMMENT 'Whose customers these are.',
    theme_id String COMMENT 'The theme or need.',
    state LowCardinality(String) COMMENT 'proposed, decided, declined or shipped; open where there are verdicts only.',
    outcome LowCardinality(String) COMMENT 'Outcome of the newest decision made; empty: none was.',
    decided_at DateTime64(3, 'UTC') COMMENT 'When it came into this state; 1970 while open.',
    agreed UInt64 COMMENT 'Different customers whose newest verdict is agree.',
    disagreed UInt64 COMMENT 'Different customers whose newest verdict is disagree or counter.'
)
AS
SELECT
    tenant, theme_id, if(newest = '', 'open', newest) AS state, made AS outcome, changed_at AS decided_at, agreed, disagreed
FROM
(
    SELECT
        tenant, theme_id,
        argMaxIf(word, (occurred_at, shard, seq), kind != 'decision.answered') AS newest,
        argMaxIf(said, (occurred_at, shard, seq), kind = 'decision.made') AS made,
        maxIf(occurred_at, kind != 'decision.answered') AS changed_at,
        uniqExactIf(customer, word = 'agree' AND newest_verdict) AS agreed,
        uniqExactIf(customer, word IN ('disagree', 'counter') AND newest_verdict) AS disagreed
    FROM
    (
        SELECT
            tenant, toString(theme_id) AS theme_id, kind, occurred_at, shard, seq, toString(feedback_current.outcome) AS said,
            if(customer_key = '', toString(event_id), customer_key) AS customer,
            multiIf(kind = 'improvement.shipped', 'shipped', kind = 'decision.proposed', 'proposed', kind = 'decision.answered', toString(verdict), said = 'decline', 'declined', 'decided') AS word,
            (occurred_at, shard, seq) = max((occurred_at, shard, seq)) OVER (PARTITION BY tenant, theme_id, kind, customer) AS newest_verdict
        FROM feedback_current
        WHERE kind IN ('decision.proposed', 'decision.answered', 'decision.made', 'improvement.shipped') AND feedback_current.theme_id != ''
    )
    GROUP BY tenant, theme_id
)
