-- Would customers recommend us: promoters (9, 10) less detractors (0 to 6) in percent of all answers, with the 95 % interval
-- (adjusted Wald), and whether that changed against the period before: up or down where the 95 % interval of the difference
-- leaves zero out, otherwise not changed; empty where the period before has no answers.
-- Split by element, facet or s5 (virtue of service), an answer counts once under each that its text speaks of or the source said it
-- is about, so that the answers of the parts may be more than there are; those that speak of none are under the empty label.
-- param tenant String = : whose customers; empty: everybody's, each apart
-- param by String in minute|hour|day|week|month|all = all: length of a period: minute, hour, day, week (from Monday), month, or all for all of it at once
-- param split String in channel|product|language|stage|element|facet|s5 = : a figure for each value of channel, product, language or stage, or for each element, facet or s5 that is spoken of (see above); empty: one for all
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
    (p, d, n) -> (p + 0.75) / (n + 3) - (d + 0.75) / (n + 3) AS middle,
    (p, d, n) -> ((p + 0.75) / (n + 3) + (d + 0.75) / (n + 3) - middle(p, d, n) * middle(p, d, n)) / (n + 3) AS variance,
    (p, d, n) -> if(n = 0, NULL, greatest(100 * (middle(p, d, n) - z * sqrt(variance(p, d, n))), -100)) AS balance_low,
    (p, d, n) -> if(n = 0, NULL, least(100 * (middle(p, d, n) + z * sqrt(variance(p, d, n))), 100)) AS balance_high
SELECT
    if({by:String} = 'all', toTimeZone(first, {tz:String}), period) AS time, tenant, label, n, promoters, passives, detractors,
    round(if(n = 0, NULL, 100 * (toFloat64(promoters) - toFloat64(detractors)) / n), 1) AS nps,
    round(balance_low(promoters, detractors, n), 1) AS nps_low,
    round(balance_high(promoters, detractors, n), 1) AS nps_high,
    round(if(before, 100 * ((toFloat64(promoters) - toFloat64(detractors)) / n - (toFloat64(promoters_before) - toFloat64(detractors_before)) / n_before), NULL), 1) AS change,
    round(if(before, 100 * (difference - spread), NULL), 1) AS change_low,
    round(if(before, 100 * (difference + spread), NULL), 1) AS change_high,
    multiIf(NOT before, '', difference > spread, 'up', difference < -spread, 'down', 'not changed') AS changed
FROM
(
    SELECT
        *,
        n_before > 0 AND n > 0 AND period_before = multiIf(
            {by:String} = 'month', toDateTime(addMonths(toDate(period, {tz:String}), -1), {tz:String}),
            {by:String} = 'week', toDateTime(toDate(period, {tz:String}) - 7, {tz:String}),
            {by:String} = 'day', toDateTime(toDate(period, {tz:String}) - 1, {tz:String}),
            {by:String} = 'hour', period - 3600,
            {by:String} = 'minute', period - 60,
            period) AS before,
        middle(promoters, detractors, n) - middle(promoters_before, detractors_before, n_before) AS difference,
        z * sqrt(variance(promoters, detractors, n) + variance(promoters_before, detractors_before, n_before)) AS spread
    FROM
    (
        SELECT
            *,
            lagInFrame(period) OVER w AS period_before, lagInFrame(n) OVER w AS n_before,
            lagInFrame(promoters) OVER w AS promoters_before, lagInFrame(detractors) OVER w AS detractors_before
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
                tenant, label, min(bucket) AS first, sum(answers) AS n, sum(tops) AS promoters, n - promoters - detractors AS passives,
                sum(bottoms) AS detractors
            FROM
            (
                SELECT
                    tenant,
                    if({by:String} = 'minute' OR {tz:String} != 'UTC', toStartOfMinute(occurred_at), toStartOfHour(occurred_at)) AS bucket,
                    if({split:String} IN ('element', 'facet', 's5'),
                        arrayJoin(emptyArrayToSingle(arrayFilter((name, axis, said) -> axis = {split:String} AND said IS NOT NULL, ['product', 'service', 'image', 'quality', 'packaging', 'price', 'presale', 'sale', 'aftersale', 'impression', 'smile', 'speed', 'sincerity', 'smart', 'study'], ['element', 'element', 'element', 'facet', 'facet', 'facet', 'facet', 'facet', 'facet', 'facet', 's5', 's5', 's5', 's5', 's5'], [element_product, element_service, element_image, facet_quality, facet_packaging, facet_price, facet_presale, facet_sale, facet_aftersale, facet_impression, s5_smile, s5_speed, s5_sincerity, s5_smart, s5_study]))),
                        if({split:String} = 'channel', channel, if({split:String} = 'product', product, if({split:String} = 'language', language, if({split:String} = 'stage', stage, 'all'))))) AS label,
                    count(nps) AS answers, countIf(nps = 1) AS tops, countIf(nps = -1) AS bottoms
                FROM feedback_cuts
                WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String}) AND ({product:String} = '' OR product = {product:String}) AND ({language:String} = '' OR language = {language:String}) AND ({stage:String} = '' OR stage = {stage:String})
                    AND bucket >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND bucket < {to:DateTime}
                GROUP BY tenant, bucket, label
            )
            WHERE throwIf({by:String} NOT IN ('all', 'minute', 'hour', 'day', 'week', 'month'), 'by takes minute, hour, day, week, month or all') = 0
                AND throwIf({split:String} NOT IN ('', 'channel', 'product', 'language', 'stage', 'element', 'facet', 's5'), 'split takes channel, product, language, stage, element, facet or s5, or nothing') = 0
            GROUP BY period, tenant, label
            HAVING n > 0 OR {by:String} = 'all' AND {split:String} = ''
        )
        WINDOW w AS (PARTITION BY tenant, label ORDER BY period ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
    )
)
ORDER BY tenant, label, time
