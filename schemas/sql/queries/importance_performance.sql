-- Where work pays: the importance of each part against how well it does, and the quadrant it falls into.
-- Importance is the size of impact_loo, performance the praise less the blame in percent of the answers that speak of the
-- part (interval: adjusted Wald); the cross stands at the medians of the parts with 10 answers or more, of which there must be 3
-- (Martilla and James 1977, who prefer medians; a part that nearly every answer speaks of would draw a mean to itself). A part
-- whose impact has 0 in its interval may be of no importance at all.
-- With csat an answer is satisfied or not, by the top boxes of its own scale; answers of every scale count.
-- param tenant String = : whose customers; empty: everybody's
-- param channel String = : one channel; empty: all
-- param metric String in csat|nps = csat: csat or nps
-- param level String in element|facet|s5|theme = facet: of the parts: element, facet, s5 or theme
-- param from DateTime = 1970-01-01 00:00:00: from when on, UTC; 1970: 90 days before the end or before the last hour heard of
-- param to DateTime = 2100-01-01 00:00:00: until when, UTC, itself left out
SELECT
    tenant, {metric:String} AS metric, part, n, k AS answers, customers, round(impact, 1) + 0 AS impact_loo,
    round(if(impact IS NULL, NULL, impact_middle - 1.959964 * impact_se), 1) + 0 AS impact_low,
    round(if(impact IS NULL, NULL, impact_middle + 1.959964 * impact_se), 1) + 0 AS impact_high,
    round(abs(impact), 1) + 0 AS importance,
    round(performance, 1) + 0 AS performance,
    round(if(k = 0, NULL, greatest(100 * (net - 1.959964 * sqrt(good + bad + 1.5 - net * net / (k + 3))) / (k + 3), -100)), 1) + 0 AS performance_low,
    round(if(k = 0, NULL, least(100 * (net + 1.959964 * sqrt(good + bad + 1.5 - net * net / (k + 3))) / (k + 3), 100)), 1) + 0 AS performance_high,
    round(if(comparable < 3, NULL, importance_cross), 1) + 0 AS importance_median,
    round(if(comparable < 3, NULL, performance_cross), 1) + 0 AS performance_median,
    multiIf(k < 10, concat('not known: ', toString(k), ' of 10 answers'), k = n, 'not known: every answer speaks of it',
        comparable < 3, concat('not known: ', toString(comparable), ' of 3 parts to compare'),
        abs(impact) >= importance_cross, if(performance >= performance_cross, 'keep up', 'concentrate here'),
        performance >= performance_cross, 'possible overkill', 'low priority') AS quadrant
FROM
(
    SELECT
        tenant, part, n, k, customers, good, bad, net, impact, performance, scale * k / n * (mean_part - mean_rest) AS impact_middle,
        scale * sqrt(k / n * k / n * (var_part + var_rest) + pow(mean_part - mean_rest, 2) * k / n * (1 - k / n) / n) AS impact_se,
        countIf(counts) OVER w AS comparable,
        quantileExactIf(0.5)(abs(impact), counts) OVER w AS importance_cross,
        quantileExactIf(0.5)(performance, counts) OVER w AS performance_cross
    FROM
    (
        SELECT
            tenant, part, n, k, customers, good, bad, toFloat64(good) - bad AS net, if({metric:String} = 'nps', 200, 100) AS scale,
            (v + 1) / (k + 2) AS mean_part, (total_v - v + 1) / (n - k + 2) AS mean_rest,
            ((q + 1) / (k + 2) - pow((v + 1) / (k + 2), 2)) / (k + 2) AS var_part,
            ((total_q - q + 1) / (n - k + 2) - pow((total_v - v + 1) / (n - k + 2), 2)) / (n - k + 2) AS var_rest,
            if(k = 0 OR k = n, NULL, scale * (total_v / n - (total_v - v) / (n - k))) AS impact,
            if(k = 0, NULL, 100 * net / k) AS performance,
            k >= 10 AND k < n AND part != '' AS counts
        FROM
        (
            SELECT
                tenant, part, count() AS k, uniqExact(customer) AS customers, sum(value) AS v, sum(value * value) AS q,
                countIf(sign > 0) AS good, countIf(sign < 0) AS bad,
                sumIf(count(), part = '') OVER g AS n, sumIf(sum(value), part = '') OVER g AS total_v, sumIf(sum(value * value), part = '') OVER g AS total_q
            FROM
            (
                SELECT tenant, customer, value, p.1 AS part, p.2 AS sign
                FROM
                (
                    SELECT
                        tenant, customer, value,
                        arrayPushBack(parts, ('', 0)) AS with_answer
                    FROM
                    (
                        SELECT
                            tenant, customer, assumeNotNull(if({metric:String} = 'csat', csat, nps)) AS value,
                            if({level:String} = 'facet', facet_parts, if({level:String} = 'element', element_parts, if({level:String} = 's5', s5_parts, theme_parts))) AS parts
                        FROM scored_answers
                        WHERE if({metric:String} = 'csat', csat, nps) IS NOT NULL AND {metric:String} IN ('csat', 'nps') AND {level:String} IN ('element', 'facet', 's5', 'theme')
                            AND occurred_at >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND occurred_at < {to:DateTime} AND ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String})
                    )
                )
                ARRAY JOIN with_answer AS p
            )
            GROUP BY tenant, part
            WINDOW g AS (PARTITION BY tenant)
        )
    )
    WINDOW w AS (PARTITION BY tenant)
)
WHERE part != ''
ORDER BY importance DESC NULLS LAST, tenant, part
