-- What do customers ask for, and what was decided: needs by the number of different customers who ask, their share of all
-- who asked for anything with its 95 % interval (Wilson), first and last seen, the state of the decision, and how many still
-- asked after it. What a need is says views/need_requests.sql.
-- param tenant String = : whose customers; empty: everybody's
-- param channel String = : one channel; empty: all
-- param from DateTime = 1970-01-01 00:00:00: from when on, UTC; 1970: 90 days before the end or before the last hour heard of
-- param to DateTime = 2100-01-01 00:00:00: until when, UTC, itself left out
-- param limit UInt32 = 20: how many
SELECT
    tenant, need, customers, unknown_customers, requests, of_customers, round(100 * customers / of_customers, 1) AS share,
    round(if(of_customers = 0, NULL, greatest(100 * (customers + 1.920729440648 - 1.959964 * sqrt(customers * (of_customers - customers) / of_customers + 0.960364720324)) / (of_customers + 3.841458881296), 0)), 1) AS share_low,
    round(if(of_customers = 0, NULL, least(100 * (customers + 1.920729440648 + 1.959964 * sqrt(customers * (of_customers - customers) / of_customers + 0.960364720324)) / (of_customers + 3.841458881296), 100)), 1) AS share_high,
    round(mean_confidence, 2) AS confidence, first_seen, last_seen, state, outcome, decided_at, customers_since, agreed, disagreed,
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
        WHERE r.occurred_at >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND r.occurred_at < {to:DateTime} AND ({tenant:String} = '' OR r.tenant = {tenant:String}) AND ({channel:String} = '' OR r.channel = {channel:String})
        GROUP BY r.tenant, r.need
    ) AS n
)
ORDER BY customers DESC, requests DESC, tenant, need
LIMIT {limit:UInt32}
