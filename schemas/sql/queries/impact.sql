-- What drags satisfaction down and what lifts it: each theme or other part with its impact on the score, in points.
-- impact_loo is the score of all answers less the score without those that speak of the part; negative: it drags the score
-- down. Its interval takes the share of answers as found and both means with one answer of each kind added (Agresti and
-- Caffo 2000). points_lost and points_won are what every answer lost or won, split evenly over the parts it blames or praises:
-- with those that name none they add up to 100 less the score and to the score (nps: 100 more). Their interval is Wilson's, which is
-- too wide rather than too narrow for split points. Answers of one customer are not independent; customers says how many there are.
-- With csat an answer is satisfied or not, by the top boxes of its own scale; answers of every scale count.
-- param tenant String = : whose customers; empty: everybody's
-- param channel String = : one channel; empty: all
-- param metric String in csat|nps = csat: csat or nps
-- param level String in element|facet|s5|theme = theme: of the parts: element, facet, s5 or theme
-- param from DateTime = 1970-01-01 00:00:00: from when on, UTC; 1970: 90 days before the end or before the last hour heard of
-- param to DateTime = 2100-01-01 00:00:00: until when, UTC, itself left out
-- param limit UInt32 = 20: how many
SELECT
    tenant, {metric:String} AS metric, if(part = '', 'none named', part) AS part, n, k AS answers, customers,
    round(if({metric:String} = 'nps', 200 * total_v / n - 100, 100 * total_v / n), 1) + 0 AS score,
    round(impact, 1) + 0 AS impact_loo,
    round(if(impact IS NULL, NULL, scale * k / n * (mean_part - mean_rest) - 1.959964 * scale * sqrt(k / n * k / n * (var_part + var_rest) + pow(mean_part - mean_rest, 2) * k / n * (1 - k / n) / n)), 1) + 0 AS impact_low,
    round(if(impact IS NULL, NULL, scale * k / n * (mean_part - mean_rest) + 1.959964 * scale * sqrt(k / n * k / n * (var_part + var_rest) + pow(mean_part - mean_rest, 2) * k / n * (1 - k / n) / n)), 1) + 0 AS impact_high,
    round(scale * lost / n, 1) + 0 AS points_lost,
    round(if(n = 0, NULL, greatest(scale * (lost + 1.920729440648 - 1.959964 * sqrt(lost * (n - lost) / n + 0.960364720324)) / (n + 3.841458881296), 0)), 1) + 0 AS lost_low,
    round(if(n = 0, NULL, least(scale * (lost + 1.920729440648 + 1.959964 * sqrt(lost * (n - lost) / n + 0.960364720324)) / (n + 3.841458881296), scale)), 1) + 0 AS lost_high,
    round(scale * won / n, 1) + 0 AS points_won,
    round(if(n = 0, NULL, greatest(scale * (won + 1.920729440648 - 1.959964 * sqrt(won * (n - won) / n + 0.960364720324)) / (n + 3.841458881296), 0)), 1) + 0 AS won_low,
    round(if(n = 0, NULL, least(scale * (won + 1.920729440648 + 1.959964 * sqrt(won * (n - won) / n + 0.960364720324)) / (n + 3.841458881296), scale)), 1) + 0 AS won_high
FROM
(
    SELECT
        tenant, part, n, k, customers, total_v, lost, won,
        if({metric:String} = 'nps', 200, 100) AS scale,
        (v + 1) / (k + 2) AS mean_part, (total_v - v + 1) / (n - k + 2) AS mean_rest,
        ((q + 1) / (k + 2) - pow((v + 1) / (k + 2), 2)) / (k + 2) AS var_part,
        ((total_q - q + 1) / (n - k + 2) - pow((total_v - v + 1) / (n - k + 2), 2)) / (n - k + 2) AS var_rest,
        if(k = 0 OR k = n, NULL, scale * (total_v / n - (total_v - v) / (n - k))) AS impact
    FROM
    (
        SELECT
            tenant, part, count() AS k, uniqExact(customer) AS customers, sum(value) AS v, sum(value * value) AS q, sum(lost) AS lost, sum(won) AS won,
            sumIf(count(), part = '') OVER g AS n, sumIf(sum(value), part = '') OVER g AS total_v, sumIf(sum(value * value), part = '') OVER g AS total_q
        FROM
        (
            SELECT
                tenant, customer, value, p.1 AS part,
                multiIf(part != '', if(p.2 < 0, (1 - value) / ill, 0), ill = 0, 1 - value, 0) AS lost,
                multiIf(part != '', if(p.2 > 0, value / well, 0), well = 0, value, 0) AS won
            FROM
            (
                SELECT
                    tenant, customer, value,
                    countEqual(parts.2, -1) AS ill, countEqual(parts.2, 1) AS well, arrayPushBack(parts, ('', 0)) AS with_answer
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
ORDER BY part = 'none named', impact NULLS LAST, points_lost DESC, tenant, part
LIMIT {limit:UInt32}
