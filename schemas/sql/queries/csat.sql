-- How many customers are satisfied: ratings in the top boxes of their own scale (4 and 5 of 5, 6 and 7 of 7, 9 and 10 of 10,
-- the top one of 3 or of 2) in percent of all, with the 95 % interval (Wilson), for each scale apart. A neutral answer counts
-- as not satisfied; csat_excl_neutral leaves neutral answers out.
-- Split by element, facet or s5 (virtue of service), an answer counts once under each that its text speaks of or the source said it
-- is about, so that the answers of the parts may be more than there are; those that speak of none are under the empty label.
-- param tenant String = : whose customers; empty: everybody's, each apart
-- param by String in minute|hour|day|week|month|all = all: length of a period: minute, hour, day, week (from Monday), month, or all for all of it at once
-- param split String in channel|product|language|stage|element|facet|s5 = : a figure for each value of channel, product, language or stage, or for each element, facet or s5 that is spoken of (see above); empty: one for all
-- param scale String as scale = : one scale, such as 1-5; empty: all, each apart
-- param from DateTime = 1970-01-01 00:00:00: first hour (minute, where it reads minutes), UTC; 1970: 90 days before the end or before the last hour heard of
-- param to DateTime = 2100-01-01 00:00:00: the hour after the last, UTC
-- param tz String as zone = UTC: time zone in which periods begin
-- param channel String = : one channel; empty: all
-- param product String = : one product; empty: all
-- param language String = : one language; empty: all
-- param stage String in presale|sale|aftersale|none = : one stage of the journey: presale, sale, aftersale or none; empty: all
-- setting query_plan_merge_expressions = 0: merging what is planned already takes 10 to 20 ms and saves nothing
WITH
    (k, n) -> if(n = 0, NULL, greatest(100 * (k + 1.920729440648 - 1.959964 * sqrt(k * (n - k) / n + 0.960364720324)) / (n + 3.841458881296), 0)) AS wilson_low,
    (k, n) -> if(n = 0, NULL, least(100 * (k + 1.920729440648 + 1.959964 * sqrt(k * (n - k) / n + 0.960364720324)) / (n + 3.841458881296), 100)) AS wilson_high
SELECT
    if({by:String} = 'all', toTimeZone(first, {tz:String}), period) AS time, tenant, label, scale, n, satisfied, neutral,
    round(if(n = 0, NULL, 100 * satisfied / n), 1) AS csat,
    round(wilson_low(satisfied, n), 1) AS csat_low,
    round(wilson_high(satisfied, n), 1) AS csat_high,
    round(if(n = neutral, NULL, 100 * satisfied / (n - neutral)), 1) AS csat_excl_neutral
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
        tenant, label, concat(toString(scale_low), '-', toString(scale_high), if(lowest_best, ', lowest best', '')) AS scale, min(bucket) AS first, sum(ratings) AS n, sum(top) AS satisfied, sum(middle) AS neutral
    FROM
    (
        SELECT
            tenant,
            if({by:String} = 'minute' OR {tz:String} != 'UTC', toStartOfMinute(occurred_at), toStartOfHour(occurred_at)) AS bucket,
            if({split:String} IN ('element', 'facet', 's5'),
                arrayJoin(emptyArrayToSingle(arrayFilter((name, axis, said) -> axis = {split:String} AND said IS NOT NULL, ['product', 'service', 'image', 'quality', 'packaging', 'price', 'presale', 'sale', 'aftersale', 'impression', 'smile', 'speed', 'sincerity', 'smart', 'study'], ['element', 'element', 'element', 'facet', 'facet', 'facet', 'facet', 'facet', 'facet', 'facet', 's5', 's5', 's5', 's5', 's5'], [element_product, element_service, element_image, facet_quality, facet_packaging, facet_price, facet_presale, facet_sale, facet_aftersale, facet_impression, s5_smile, s5_speed, s5_sincerity, s5_smart, s5_study]))),
                if({split:String} = 'channel', channel, if({split:String} = 'product', product, if({split:String} = 'language', language, if({split:String} = 'stage', stage, 'all'))))) AS label, scale_low, scale_high, lowest_best,
            count(csat) AS ratings, countIf(csat = 1) AS top, countIf(csat = 0.5) AS middle
        FROM feedback_cuts
        WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String}) AND ({product:String} = '' OR product = {product:String}) AND ({language:String} = '' OR language = {language:String}) AND ({stage:String} = '' OR stage = {stage:String})
            AND bucket >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND bucket < {to:DateTime} AND csat IS NOT NULL
        GROUP BY tenant, bucket, label, scale_low, scale_high, lowest_best
    )
    WHERE throwIf({by:String} NOT IN ('all', 'minute', 'hour', 'day', 'week', 'month'), 'by takes minute, hour, day, week, month or all') = 0
        AND throwIf({split:String} NOT IN ('', 'channel', 'product', 'language', 'stage', 'element', 'facet', 's5'), 'split takes channel, product, language, stage, element, facet or s5, or nothing') = 0
        AND ({scale:String} = '' OR scale = {scale:String})
    GROUP BY period, tenant, label, scale
)
ORDER BY tenant, label, scale, time
