-- Do customers say more good than bad: positive less negative in percent of all that were said, with the 95 % interval
-- (adjusted Wald), of whole texts or of each element, facet or virtue of service. A text counts once for each part it
-- speaks of, however often it does. Who gave a rating without words counts among the texts, by the rating; who gave neither does
-- not.
-- param tenant String = : whose customers; empty: everybody's, each apart
-- param by String in minute|hour|day|week|month|all = all: length of a period: minute, hour, day, week (from Monday), month, or all for all of it at once
-- param split String in channel|product|language|stage = : a figure for each value of channel, product, language or stage; empty: one for all
-- param of String in text|element|facet|s5 = text: text, element, facet or s5
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
    if({by:String} = 'all', toTimeZone(first, {tz:String}), period) AS time, tenant, label, part, n, positive, n - positive - negative AS neutral, negative,
    round(if(n = 0, NULL, 100 * (toFloat64(positive) - toFloat64(negative)) / n), 1) AS net_sentiment,
    round(balance_low(positive, negative, n), 1) AS net_low,
    round(balance_high(positive, negative, n), 1) AS net_high
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
        tenant, label, cell.1 AS part, min(bucket) AS first, sum(cell.2) AS n, sum(cell.3) AS positive, sum(cell.4) AS negative
    FROM
    (
        SELECT tenant, bucket, label, arrayJoin(parts) AS cell
        FROM
        (
            SELECT
                tenant,
                if({by:String} = 'minute' OR {tz:String} != 'UTC', toStartOfMinute(occurred_at), toStartOfHour(occurred_at)) AS bucket,
                if({split:String} = 'channel', channel, if({split:String} = 'product', product, if({split:String} = 'language', language, if({split:String} = 'stage', stage, 'all')))) AS label,
                arrayConcat(
                    if({of:String} = 'text', [('text', countIf(polarity = 'negative') + countIf(polarity = 'neutral') + countIf(polarity = 'positive'), countIf(polarity = 'positive'), countIf(polarity = 'negative'))], CAST([], 'Array(Tuple(String, UInt64, UInt64, UInt64))')),
                    if({of:String} = 'element', [('product', count(element_product), countIf(element_product > 0), countIf(element_product < 0)), ('service', count(element_service), countIf(element_service > 0), countIf(element_service < 0)), ('image', count(element_image), countIf(element_image > 0), countIf(element_image < 0))], CAST([], 'Array(Tuple(String, UInt64, UInt64, UInt64))')),
                    if({of:String} = 'facet', [('quality', count(facet_quality), countIf(facet_quality > 0), countIf(facet_quality < 0)), ('packaging', count(facet_packaging), countIf(facet_packaging > 0), countIf(facet_packaging < 0)), ('price', count(facet_price), countIf(facet_price > 0), countIf(facet_price < 0)), ('presale', count(facet_presale), countIf(facet_presale > 0), countIf(facet_presale < 0)), ('sale', count(facet_sale), countIf(facet_sale > 0), countIf(facet_sale < 0)), ('aftersale', count(facet_aftersale), countIf(facet_aftersale > 0), countIf(facet_aftersale < 0)), ('impression', count(facet_impression), countIf(facet_impression > 0), countIf(facet_impression < 0))], CAST([], 'Array(Tuple(String, UInt64, UInt64, UInt64))')),
                    if({of:String} = 's5', [('smile', count(s5_smile), countIf(s5_smile > 0), countIf(s5_smile < 0)), ('speed', count(s5_speed), countIf(s5_speed > 0), countIf(s5_speed < 0)), ('sincerity', count(s5_sincerity), countIf(s5_sincerity > 0), countIf(s5_sincerity < 0)), ('smart', count(s5_smart), countIf(s5_smart > 0), countIf(s5_smart < 0)), ('study', count(s5_study), countIf(s5_study > 0), countIf(s5_study < 0))], CAST([], 'Array(Tuple(String, UInt64, UInt64, UInt64))'))) AS parts
            FROM feedback_cuts
            WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String}) AND ({product:String} = '' OR product = {product:String}) AND ({language:String} = '' OR language = {language:String}) AND ({stage:String} = '' OR stage = {stage:String})
                AND bucket >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND bucket < {to:DateTime}
            GROUP BY tenant, bucket, label
        )
    )
    WHERE throwIf({of:String} NOT IN ('text', 'element', 'facet', 's5'), 'of takes text, element, facet or s5') = 0
        AND throwIf({by:String} NOT IN ('all', 'minute', 'hour', 'day', 'week', 'month'), 'by takes minute, hour, day, week, month or all') = 0
        AND throwIf({split:String} NOT IN ('', 'channel', 'product', 'language', 'stage'), 'split takes channel, product, language or stage, or nothing') = 0
    GROUP BY period, tenant, label, part
    HAVING n > 0 OR {by:String} = 'all' AND {split:String} = ''
)
ORDER BY tenant, label, part, time
