-- Needs: what customers ask for, by how many different ones ask, and what was decided about it. One customer who asks ten
-- times is one; customers_since are those who still asked after the decision. A quote is masked and shortened.
CREATE OR REPLACE VIEW needs
(
    tenant LowCardinality(String) COMMENT 'Whose customers these are.',
    need String COMMENT 'Stable id of the need: of its theme, or element/facet, or unplaced.',
    requests UInt64 COMMENT 'Texts that ask for it.',
    customers UInt64 COMMENT 'Different customers who do; each event of an unknown customer counts as one.',
    unknown_customers UInt64 COMMENT 'Of these, events whose customer is unknown.',
    of_customers UInt64 COMMENT 'Different customers who asked for anything.',
    share Nullable(Float64) COMMENT 'customers in percent of these.',
    share_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson).',
    share_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson).',
    confidence Float64 COMMENT 'Mean probability that these are requests, as the classifier has it.',
    first_seen DateTime64(3, 'UTC') COMMENT 'When it was first asked for.',
    last_seen DateTime64(3, 'UTC') COMMENT 'When it was last asked for.',
    state String COMMENT 'open, proposed, decided, declined or shipped.',
    outcome String COMMENT 'Outcome of the newest decision made; empty: none was.',
    decided_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it came into this state; NULL: open.',
    customers_since UInt64 COMMENT 'Different customers who asked after that.',
    agreed UInt64 COMMENT 'Different customers who agree with the decision.',
    disagreed UInt64 COMMENT 'Different customers who disagree or propose another.',
    quote String COMMENT 'Words of the surest, then newest request; addresses and long numbers masked.'
)
AS
SELECT
    tenant, need, requests, customers, unknown_customers, of_customers,
    100 * customers / of_customers AS share,
    if(of_customers = 0, NULL, greatest(100 * (customers + 1.920729440648 - 1.959964 * sqrt(customers * (of_customers - customers) / of_customers + 0.960364720324)) / (of_customers + 3.841458881296), 0)) AS share_low,
    if(of_customers = 0, NULL, least(100 * (customers + 1.920729440648 + 1.959964 * sqrt(customers * (of_customers - customers) / of_customers + 0.960364720324)) / (of_customers + 3.841458881296), 100)) AS share_high,
    mean_confidence AS confidence, first_seen, last_seen, state, outcome, decided_at, customers_since, agreed, disagreed,
    if(lengthUTF8(masked) > 200, concat(substringUTF8(masked, 1, 199), '…'), masked) AS quote
FROM
(
    SELECT
        tenant, need, requests, customers, unknown_customers, mean_confidence, first_seen, last_seen, state, outcome, decided_at, agreed,
        disagreed, customers_since, of_customers,
        arrayMap(q -> replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(trimBoth(replaceRegexpAll(q, '\\s+', ' ')), '[\\p{L}\\p{N}._%+\\-]+@[\\p{L}\\p{N}.\\-]+\\.\\p{L}{2,}', '[mail]'), '(?i)\\b(?:https?://|www\\.)\\S+', '[link]'), '\\b[A-Z]{2}\\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\\b', '[account]'), '\\+?\\(?\\p{Nd}(?:[ ()/.\\-–]{0,2}\\p{Nd}){5,}', '[number]'), '(^|[^\\p{L}\\p{N}])@[\\p{L}\\p{N}_]{2,}', '\\1[name]'), [raw])[1] AS masked
    FROM
    (
        SELECT
            r.tenant AS tenant, r.need AS need, count() AS requests, uniqExact(r.customer) AS customers,
            uniqExactIf(r.customer, r.customer_key = '') AS unknown_customers, avg(toFloat64(r.confidence)) AS mean_confidence,
            min(r.occurred_at) AS first_seen, max(r.occurred_at) AS last_seen,
            if(any(d.state) = '', 'open', any(d.state)) AS state, any(d.outcome) AS outcome,
            if(any(d.state) IN ('', 'open'), NULL, any(d.decided_at)) AS decided_at, any(d.agreed) AS agreed, any(d.disagreed) AS disagreed,
            uniqExactIf(r.customer, d.state NOT IN ('', 'open') AND r.occurred_at > d.decided_at) AS customers_since,
            argMax(r.text, (r.confidence, r.occurred_at, r.shard, r.seq)) AS raw,
            uniqExactMerge(uniqExactState(r.customer)) OVER (PARTITION BY r.tenant) AS of_customers
        FROM need_requests AS r
        LEFT JOIN theme_decisions AS d ON r.tenant = d.tenant AND r.need = d.theme_id
        GROUP BY r.tenant, r.need
    ) AS n
)
