-- Which parts only hurt when they are bad and which delight when they are good.
-- Kano class without a questionnaire, by penalty and reward: how much lower the score is where the part is blamed, and how
-- much higher where it is praised, than where it is neither. Penalty above 0 and above reward by a
-- tenth of the scale: must-be; reward so: attractive; else both above 0: one-dimensional; both within a tenth of the scale of 0:
-- indifferent; each with 95 % certainty (Agresti and Caffo 2000), else undecided. Each of the three groups must have 10
-- answers. Where nearly everybody is satisfied anyway no reward can show, and must-be is the likelier word.
-- With csat an answer is satisfied or not, by the top boxes of its own scale; answers of every scale count.
-- param tenant String = : whose customers; empty: everybody's
-- param channel String = : one channel; empty: all
-- param metric String in csat|nps = csat: csat or nps
-- param level String in element|facet|s5|theme = facet: of the parts: element, facet, s5 or theme
-- param from DateTime = 1970-01-01 00:00:00: from when on, UTC; 1970: 90 days before the end or before the last hour heard of
-- param to DateTime = 2100-01-01 00:00:00: until when, UTC, itself left out
SELECT
    tenant, {metric:String} AS metric, part, n, good, bad, base,
    round(if(base = 0 OR good = 0, NULL, scale * (good_v / good - (total_v - good_v - bad_v) / base)), 1) + 0 AS reward,
    round(if(base = 0 OR good = 0, NULL, scale * (mean_good - mean_base) - 1.959964 * scale * sqrt(var_base + var_good)), 1) + 0 AS reward_low,
    round(if(base = 0 OR good = 0, NULL, scale * (mean_good - mean_base) + 1.959964 * scale * sqrt(var_base + var_good)), 1) + 0 AS reward_high,
    round(if(base = 0 OR bad = 0, NULL, scale * ((total_v - good_v - bad_v) / base - bad_v / bad)), 1) + 0 AS penalty,
    round(if(base = 0 OR bad = 0, NULL, scale * (mean_base - mean_bad) - 1.959964 * scale * sqrt(var_base + var_bad)), 1) + 0 AS penalty_low,
    round(if(base = 0 OR bad = 0, NULL, scale * (mean_base - mean_bad) + 1.959964 * scale * sqrt(var_base + var_bad)), 1) + 0 AS penalty_high,
    multiIf(least(good, bad, base) < 10, concat('not known: ', toString(good), ' praise, ', toString(bad), ' blame, ', toString(base), ' neither; 10 each are needed'),
        least(scale * (mean_base - mean_bad) - 1.959964 * scale * sqrt(var_base + var_bad), scale * (2 * mean_base - mean_bad - mean_good) - 1.959964 * scale * sqrt(4 * var_base + var_bad + var_good) - scale / 10) > 0, 'must-be',
        least(scale * (mean_good - mean_base) - 1.959964 * scale * sqrt(var_base + var_good), -scale / 10 - scale * (2 * mean_base - mean_bad - mean_good) - 1.959964 * scale * sqrt(4 * var_base + var_bad + var_good)) > 0, 'attractive',
        least(scale * (mean_base - mean_bad) - 1.959964 * scale * sqrt(var_base + var_bad), scale * (mean_good - mean_base) - 1.959964 * scale * sqrt(var_base + var_good)) > 0, 'one-dimensional',
        greatest(abs(scale * (mean_base - mean_bad)) + 1.959964 * scale * sqrt(var_base + var_bad), abs(scale * (mean_good - mean_base)) + 1.959964 * scale * sqrt(var_base + var_good)) < scale / 10, 'indifferent', 'undecided') AS kano
FROM
(
    SELECT
        tenant, part, n, good, bad, base, total_v, good_v, bad_v,
        if({metric:String} = 'nps', 200, 100) AS scale,
        (good_v + 1) / (good + 2) AS mean_good, (bad_v + 1) / (bad + 2) AS mean_bad, (total_v - good_v - bad_v + 1) / (base + 2) AS mean_base,
        ((good_q + 1) / (good + 2) - pow((good_v + 1) / (good + 2), 2)) / (good + 2) AS var_good,
        ((bad_q + 1) / (bad + 2) - pow((bad_v + 1) / (bad + 2), 2)) / (bad + 2) AS var_bad,
        ((total_q - good_q - bad_q + 1) / (base + 2) - pow((total_v - good_v - bad_v + 1) / (base + 2), 2)) / (base + 2) AS var_base
    FROM
    (
        SELECT
            tenant, part,
            countIf(sign > 0) AS good, sumIf(value, sign > 0) AS good_v, sumIf(value * value, sign > 0) AS good_q,
            countIf(sign < 0) AS bad, sumIf(value, sign < 0) AS bad_v, sumIf(value * value, sign < 0) AS bad_q,
            sumIf(count(), part = '') OVER g AS n, sumIf(sum(value), part = '') OVER g AS total_v, sumIf(sum(value * value), part = '') OVER g AS total_q,
            toUInt64(n - good - bad) AS base
        FROM
        (
            SELECT tenant, value, p.1 AS part, p.2 AS sign
            FROM
            (
                SELECT
                    tenant, value,
                    arrayPushBack(parts, ('', 0)) AS with_answer
                FROM
                (
                    SELECT
                        tenant, assumeNotNull(if({metric:String} = 'csat', csat, nps)) AS value,
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
WHERE part != ''
ORDER BY penalty DESC NULLS LAST, tenant, part
