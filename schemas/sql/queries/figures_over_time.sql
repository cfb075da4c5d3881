-- The main figures as time series: time, one label, then the figures, as panels of Grafana expect them. The label is the tenant,
-- or with split what the figures are split by. Each figure has its n and its 95 % interval as in the query of its name; csat is
-- of the ratings on one scale only.
-- param tenant String = : whose customers; empty: everybody's, each apart
-- param by String in minute|hour|day|week|month|all = day: length of a period: minute, hour, day, week (from Monday), month, or all for all of it at once
-- param split String in channel|product|language|stage = : a figure for each value of channel, product, language or stage; empty: one for all
-- param scale String as scale = 1-5: scale of the ratings that csat counts
-- param from DateTime = 1970-01-01 00:00:00: first hour (minute, where it reads minutes), UTC; 1970: 90 days before the end or before the last hour heard of
-- param to DateTime = 2100-01-01 00:00:00: the hour after the last, UTC
-- param tz String as zone = UTC: time zone in which periods begin
-- param channel String = : one channel; empty: all
-- param product String = : one product; empty: all
-- param language String = : one language; empty: all
-- param stage String in presale|sale|aftersale|none = : one stage of the journey: presale, sale, aftersale or none; empty: all
-- setting query_plan_merge_expressions = 0: merging what is planned already takes 10 to 20 ms and saves nothing
WITH
    1.959964 AS z,
    (k, n) -> if(n = 0, NULL, greatest(100 * (k + 1.920729440648 - 1.959964 * sqrt(k * (n - k) / n + 0.960364720324)) / (n + 3.841458881296), 0)) AS wilson_low,
    (k, n) -> if(n = 0, NULL, least(100 * (k + 1.920729440648 + 1.959964 * sqrt(k * (n - k) / n + 0.960364720324)) / (n + 3.841458881296), 100)) AS wilson_high,
    -- (p - d) / (n + 3) less and more z standard deviations, as in the query nps, of which the terms are put together.
    (p, d, n) -> if(n = 0, NULL, greatest(100 * (p - d - z * sqrt(((p + d + 1.5) * (n + 3) - (p - d) * (p - d)) / (n + 3))) / (n + 3), -100)) AS balance_low,
    (p, d, n) -> if(n = 0, NULL, least(100 * (p - d + z * sqrt(((p + d + 1.5) * (n + 3) - (p - d) * (p - d)) / (n + 3))) / (n + 3), 100)) AS balance_high
SELECT
    if({by:String} = 'all', toTimeZone(first, {tz:String}), period) AS time, label, events, csat_n,
    round(if(csat_n = 0, NULL, 100 * satisfied / csat_n), 1) AS csat,
    round(wilson_low(satisfied, csat_n), 1) AS csat_low,
    round(wilson_high(satisfied, csat_n), 1) AS csat_high,
    nps_n,
    round(if(nps_n = 0, NULL, 100 * (toFloat64(promoters) - toFloat64(detractors)) / nps_n), 1) AS nps,
    round(balance_low(promoters, detractors, nps_n), 1) AS nps_low,
    round(balance_high(promoters, detractors, nps_n), 1) AS nps_high,
    ces_n,
    round(if(ces_n = 0, NULL, ces_total / ces_n), 2) AS ces,
    round(if(ces_n * ces_squares <= ces_total * ces_total, NULL, greatest(ces_total / ces_n - z * sqrt(greatest(ces_squares / ces_n - (ces_total / ces_n) * (ces_total / ces_n), 0) / (ces_n - 1)), 1)), 2) AS ces_low,
    round(if(ces_n * ces_squares <= ces_total * ces_total, NULL, least(ces_total / ces_n + z * sqrt(greatest(ces_squares / ces_n - (ces_total / ces_n) * (ces_total / ces_n), 0) / (ces_n - 1)), 7)), 2) AS ces_high,
    texts,
    round(if(texts = 0, NULL, 100 * (toFloat64(positive) - toFloat64(negative)) / texts), 1) AS net_sentiment,
    round(balance_low(positive, negative, texts), 1) AS net_low,
    round(balance_high(positive, negative, texts), 1) AS net_high
FROM
(
    SELECT
        multiIf(
            {by:String} = 'month', toDateTime(toStartOfMonth(bucket, {tz:String}), {tz:String}),
            {by:String} = 'week', toDateTime(toStartOfWeek(bucket, 1, {tz:String}), {tz:String}),
            {by:String} = 'day', toStartOfDay(bucket, {tz:String}),
            {by:String} = 'hour', toStartOfHour(bucket, {tz:String}),
            {by:String} = 'minute', toStartOfMinute(bucket, {tz:String}),
            toDateTime(0, {tz:String})) AS period,
        if({split:String} = '', tenant, if({tenant:String} = '', concat(tenant, ' ', u.label), u.label)) AS label,
        min(bucket) AS first, sum(u.events) AS events, sum(u.ratings) AS csat_n, sum(u.satisfied) AS satisfied, sum(u.nps_n) AS nps_n,
        sum(u.promoters) AS promoters, sum(u.detractors) AS detractors, sum(u.ces_n) AS ces_n, ifNull(sum(u.ces_total), 0) AS ces_total,
        ifNull(sum(u.ces_squares), 0) AS ces_squares, sum(u.negative) + sum(u.neutral) + sum(u.positive) AS texts,
        sum(u.positive) AS positive, sum(u.negative) AS negative
    FROM
    (
        SELECT
            tenant,
            if({by:String} = 'minute' OR {tz:String} != 'UTC', toStartOfMinute(occurred_at), toStartOfHour(occurred_at)) AS bucket,
            if({split:String} = 'channel', channel, if({split:String} = 'product', product, if({split:String} = 'language', language, if({split:String} = 'stage', stage, 'all')))) AS label,
            count() AS events, count(nps) AS nps_n, countIf(nps = 1) AS promoters, countIf(nps = -1) AS detractors, count(ces) AS ces_n,
            ifNull(sum(toFloat64(ces)), 0) AS ces_total, ifNull(sum(toFloat64(ces) * toFloat64(ces)), 0) AS ces_squares,
            countIf(polarity = 'negative') AS negative, countIf(polarity = 'neutral') AS neutral, countIf(polarity = 'positive') AS positive, 0 AS ratings, 0 AS satisfied
        FROM feedback_cuts
        WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String}) AND ({product:String} = '' OR product = {product:String}) AND ({language:String} = '' OR language = {language:String}) AND ({stage:String} = '' OR stage = {stage:String})
            AND bucket >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND bucket < {to:DateTime}
        GROUP BY tenant, bucket, label
        UNION ALL
        SELECT
            tenant,
            if({by:String} = 'minute' OR {tz:String} != 'UTC', toStartOfMinute(occurred_at), toStartOfHour(occurred_at)) AS bucket,
            if({split:String} = 'channel', channel, if({split:String} = 'product', product, if({split:String} = 'language', language, if({split:String} = 'stage', stage, 'all')))) AS label,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, count(csat) AS ratings, countIf(csat = 1) AS satisfied
        FROM feedback_cuts
        WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String}) AND ({product:String} = '' OR product = {product:String}) AND ({language:String} = '' OR language = {language:String}) AND ({stage:String} = '' OR stage = {stage:String})
            AND bucket >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND bucket < {to:DateTime} AND csat IS NOT NULL
        GROUP BY tenant, bucket, label, scale_low, scale_high, lowest_best
        HAVING concat(toString(scale_low), '-', toString(scale_high), if(lowest_best, ', lowest best', '')) = {scale:String}
    ) AS u
    WHERE throwIf({by:String} NOT IN ('all', 'minute', 'hour', 'day', 'week', 'month'), 'by takes minute, hour, day, week, month or all') = 0
        AND throwIf({split:String} NOT IN ('', 'channel', 'product', 'language', 'stage'), 'split takes channel, product, language or stage, or nothing') = 0
    GROUP BY period, label
)
ORDER BY time, label
