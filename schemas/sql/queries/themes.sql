-- Which themes reach most customers, and which grow: the different customers who speak of it, their share of all who were heard, the same in
-- the period of equal length before, and whether the share grew. growth is the ratio of the two shares (with half a customer
-- added to each, Walter 1975) and its 95 % interval; changed says so only where p times the number of themes stays
-- below 0.05, as many themes are looked at together (Bonferroni). Customers who speak in both periods make it cautious.
--
-- silent is how many more customers it is estimated to touch who did not complain: each who complained by themselves stands
-- for (d - m) / (m + 1) silent ones, where d known customers rated low when asked and m of them complained by themselves in the
-- same period (views/silent_customers.sql). It supposes that all themes are complained of alike.
-- param tenant String = : whose customers; empty: everybody's
-- param channel String = : one channel; empty: all
-- param from DateTime = 1970-01-01 00:00:00: from when on, UTC; 1970: 30 days before the end
-- param to DateTime = 2100-01-01 00:00:00: until when, UTC, itself left out; later than the last hour heard of: that
-- param limit UInt32 = 20: how many
SELECT
    tenant, theme, customers, unknown_customers, heard, round(100 * customers / heard, 1) AS share,
    round(if(heard = 0, NULL, greatest(100 * (customers + 1.920729440648 - 1.959964 * sqrt(customers * (heard - customers) / heard + 0.960364720324)) / (heard + 3.841458881296), 0)), 1) AS share_low,
    round(if(heard = 0, NULL, least(100 * (customers + 1.920729440648 + 1.959964 * sqrt(customers * (heard - customers) / heard + 0.960364720324)) / (heard + 3.841458881296), 100)), 1) AS share_high,
    unhappy_customers, mentions, customers_before, heard_before,
    if(heard_before = 0, NULL, round(exp(ln), 2)) AS growth,
    if(heard_before = 0, NULL, round(exp(ln - 1.959964 * se), 2)) AS growth_low,
    if(heard_before = 0, NULL, round(exp(ln + 1.959964 * se), 2)) AS growth_high,
    if(heard_before = 0, NULL, round(p, 4)) AS growth_p,
    multiIf(heard_before = 0, 'nobody was heard before', p * tested >= 0.05, 'not changed', ln > 0, 'grew', 'shrank') AS changed,
    own AS complained,
    round(if(dissatisfied >= 20 AND both >= 5, own * (dissatisfied - both) / (both + 1), NULL), 1) AS silent,
    round(if(dissatisfied >= 20 AND both >= 5, greatest((own + 0.5) * (dissatisfied - both + 0.5) / (both + 0.5) * exp(-1.959964 * sqrt(1 / (both + 0.5) + 1 / (dissatisfied - both + 0.5) + 1 / (own + 0.5) + (both + 0.5) / ((own + 0.5) * (dissatisfied - both + 0.5)))) - 0.5, 0), NULL), 1) AS silent_low,
    round(if(dissatisfied >= 20 AND both >= 5, (own + 0.5) * (dissatisfied - both + 0.5) / (both + 0.5) * exp(1.959964 * sqrt(1 / (both + 0.5) + 1 / (dissatisfied - both + 0.5) + 1 / (own + 0.5) + (both + 0.5) / ((own + 0.5) * (dissatisfied - both + 0.5)))) - 0.5, NULL), 1) AS silent_high,
    multiIf(dissatisfied < 20, concat('not known: ', toString(dissatisfied), ' known customers rated low when asked, 20 are needed'),
        both < 5, concat('not known: ', toString(both), ' of the ', toString(dissatisfied), ' who rated low complained by themselves, 5 are needed'),
        concat(toString(both), ' of ', toString(dissatisfied), ' who rated low when asked complained by themselves')) AS silent_basis,
    first_seen, last_seen,
    arrayMap(q -> if(lengthUTF8(q) > 200, concat(substringUTF8(q, 1, 199), '…'), q), arrayMap(q -> replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(trimBoth(replaceRegexpAll(q, '\\s+', ' ')), '[\\p{L}\\p{N}._%+\\-]+@[\\p{L}\\p{N}.\\-]+\\.\\p{L}{2,}', '[mail]'), '(?i)\\b(?:https?://|www\\.)\\S+', '[link]'), '\\b[A-Z]{2}\\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\\b', '[account]'), '\\+?\\(?\\p{Nd}(?:[ ()/.\\-–]{0,2}\\p{Nd}){5,}', '[number]'), '(^|[^\\p{L}\\p{N}])@[\\p{L}\\p{N}_]{2,}', '\\1[name]'), raw_quotes)) AS quotes, since, until
FROM
(
    WITH
        (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback) AS heard_until,
        least(toDateTime({to:DateTime}, 'UTC'), heard_until) AS until,
        if({from:DateTime} = toDateTime(0), until - 30 * 86400, toDateTime({from:DateTime}, 'UTC')) AS since,
        toIntervalSecond(dateDiff('second', since, until)) AS span
    SELECT
        t.tenant AS tenant, theme, customers, customers_before, unknown_customers, unhappy_customers, own, mentions, first_seen, last_seen, raw_quotes,
        h.heard AS heard, h.heard_before AS heard_before, s.dissatisfied AS dissatisfied, s.both AS both, since, until,
        log(((customers + 0.5) / (heard + 0.5)) / ((customers_before + 0.5) / (heard_before + 0.5))) AS ln,
        sqrt(greatest(1 / (customers + 0.5) - 1 / (heard + 0.5) + 1 / (customers_before + 0.5) - 1 / (heard_before + 0.5), 0)) AS se,
        if(se = 0, 1, erfc(abs(ln) / se / sqrt(2))) AS p,
        count() OVER (PARTITION BY t.tenant) AS tested
    FROM
    (
        SELECT
            tenant, theme, countIf(now_n > 0) AS customers, countIf(before_n > 0) AS customers_before,
            countIf(now_n > 0 AND unknown) AS unknown_customers, countIf(unhappy_n > 0) AS unhappy_customers, countIf(own_n > 0) AS own,
            sum(now_n) AS mentions, min(first_at) AS first_seen, max(last_at) AS last_seen,
            arrayMap(q -> q.2, groupArraySortedIf(3)((worst, quote), now_n > 0)) AS raw_quotes
        FROM
        (
            SELECT
                tenant, theme, if(customer_key = '', cityHash64(tenant, event_id), cityHash64(tenant, customer_key)) AS number, any(customer_key) = '' AS unknown,
                countIf(occurred_at >= since) AS now_n, countIf(occurred_at < since) AS before_n,
                countIf(occurred_at >= since AND polarity < 0) AS unhappy_n,
                countIf(occurred_at >= since AND polarity < 0 AND NOT asked) AS own_n,
                min(occurred_at) AS first_at, max(occurred_at) AS last_at,
                minIf(polarity, occurred_at >= since) AS worst,
                argMinIf(quote, (polarity, -confidence, shard, seq, at_byte), occurred_at >= since) AS quote
            FROM
            (
                SELECT
                    tenant, customer_key, event_id, occurred_at, shard, seq, m_theme AS theme, m_polarity AS polarity, m_confidence AS confidence,
                    m_start AS at_byte, substring(text, m_start + 1, m_end - m_start) AS quote, (kind IN ('rating.submitted', 'followup.rated') OR channel = 'survey') AS asked
                FROM feedback_current
                ARRAY JOIN
                    mention_theme AS m_theme, mention_polarity AS m_polarity, mention_confidence AS m_confidence,
                    mention_start AS m_start, mention_end AS m_end
                WHERE m_theme != '' AND actor_kind = 'customer'
                    AND occurred_at >= since - span AND occurred_at < until AND ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String})
            )
            GROUP BY tenant, theme, number
        )
        GROUP BY tenant, theme
    ) AS t
    INNER JOIN
    (
        SELECT
            tenant, uniqExactIf(if(customer_key = '', cityHash64(tenant, event_id), cityHash64(tenant, customer_key)), occurred_at >= since) AS heard,
            uniqExactIf(if(customer_key = '', cityHash64(tenant, event_id), cityHash64(tenant, customer_key)), occurred_at < since) AS heard_before
        FROM feedback_current
        WHERE actor_kind = 'customer' AND (polarity != '' AND quality != 'empty' OR notEmpty(mention_theme)) AND occurred_at >= since - span AND occurred_at < until AND ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String})
        GROUP BY tenant
    ) AS h ON t.tenant = h.tenant
    LEFT JOIN
    (
        SELECT tenant, countIf(low) AS dissatisfied, countIf(low AND own) AS both, countIf(own) AS complainers
        FROM
        (
            SELECT tenant, customer_key, countIf((kind IN ('rating.submitted', 'followup.rated') OR channel = 'survey') AND rating < 0) > 0 AS low, countIf(NOT (kind IN ('rating.submitted', 'followup.rated') OR channel = 'survey') AND intent IN ('complaint', 'churn_notice')) > 0 AS own
            FROM feedback_current
            WHERE customer_key != '' AND actor_kind = 'customer' AND (rating < 0 OR intent IN ('complaint', 'churn_notice'))
                AND occurred_at >= since AND occurred_at < until AND ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String})
            GROUP BY tenant, customer_key
        )
        GROUP BY tenant
    ) AS s ON t.tenant = s.tenant
)
WHERE customers > 0 OR customers_before > 0
ORDER BY unhappy_customers DESC, customers DESC, tenant, theme
LIMIT {limit:UInt32}
