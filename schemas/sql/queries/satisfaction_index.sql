-- How satisfied are customers, from 0 to 100, 50 being neither good nor bad: with each element and overall, or with each facet
-- or virtue of service. An index is 50 (1 + mean score), the mean taken with 20 pseudo-observations at 0, so that a part that
-- few speak of stays near 50. Overall is the sum of the elements by their weights, which the view satisfaction_weights
-- explains and which are shown; its n is that of the elements together. Intervals are of 95 %.
-- param tenant String = : whose customers; empty: everybody's, each apart
-- param by String in minute|hour|day|week|month|all = all: length of a period: minute, hour, day, week (from Monday), month, or all for all of it at once
-- param split String in channel|product|language|stage = : a figure for each value of channel, product, language or stage; empty: one for all
-- param of String in element|facet|s5 = element: element, facet or s5
-- param from DateTime = 1970-01-01 00:00:00: first hour (minute, where it reads minutes), UTC; 1970: 90 days before the end or before the last hour heard of
-- param to DateTime = 2100-01-01 00:00:00: the hour after the last, UTC
-- param tz String as zone = UTC: time zone in which periods begin
-- param channel String = : one channel; empty: all
-- param product String = : one product; empty: all
-- param language String = : one language; empty: all
-- param stage String in presale|sale|aftersale|none = : one stage of the journey: presale, sale, aftersale or none; empty: all
-- setting query_plan_merge_expressions = 0: merging what is planned already takes 10 to 20 ms and saves nothing
WITH
    (n, total) -> 50 * (1 + total / (n + 20)) AS index,
    (n, total, squares) -> 50 * 1.959964 * sqrt(greatest((squares + 20 / 3) / (n + 20) - (total / (n + 20)) * (total / (n + 20)), 0) / (n + 20)) AS half
SELECT
    if({by:String} = 'all', toTimeZone(first, {tz:String}), period) AS time, tenant, label, row.1 AS part, row.2 AS n,
    round(row.3, 1) AS satisfaction,
    round(greatest(row.3 - row.4, 0), 1) AS satisfaction_low,
    round(least(row.3 + row.4, 100), 1) AS satisfaction_high,
    round(row.5, 3) AS weight, row.6 AS weights
FROM
(
    SELECT
        period, tenant, label, min(c.first) AS first,
        groupArray((c.part, c.n, index(c.n, c.total), half(c.n, c.total, c.squares), w.weight, w.basis)) AS rows,
        arrayJoin(if({of:String} = 'element', arrayConcat(rows, [(
            'overall', sum(c.n), sum(ifNull(w.weight, 0) * index(c.n, c.total)), sqrt(sum(pow(ifNull(w.weight, 0) * half(c.n, c.total, c.squares), 2))),
            sum(w.weight), any(w.basis))]), rows)) AS row
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
            tenant, label, cell.1 AS part, min(bucket) AS first, sum(cell.2) AS n, ifNull(sum(cell.3), 0) AS total, ifNull(sum(cell.4), 0) AS squares
        FROM
        (
            SELECT tenant, bucket, label, arrayJoin(parts) AS cell
            FROM
            (
                SELECT
                    tenant,
                    if({by:String} = 'minute' OR {tz:String} != 'UTC', toStartOfMinute(occurred_at), toStartOfHour(occurred_at)) AS bucket,
                    if({split:String} = 'channel', channel, if({split:String} = 'product', product, if({split:String} = 'language', language, if({split:String} = 'stage', stage, 'all')))) AS label,
                    if({of:String} = 'facet', [('quality', count(facet_quality), sum(toFloat64(facet_quality)), sum(toFloat64(facet_quality) * toFloat64(facet_quality))), ('packaging', count(facet_packaging), sum(toFloat64(facet_packaging)), sum(toFloat64(facet_packaging) * toFloat64(facet_packaging))), ('price', count(facet_price), sum(toFloat64(facet_price)), sum(toFloat64(facet_price) * toFloat64(facet_price))), ('presale', count(facet_presale), sum(toFloat64(facet_presale)), sum(toFloat64(facet_presale) * toFloat64(facet_presale))), ('sale', count(facet_sale), sum(toFloat64(facet_sale)), sum(toFloat64(facet_sale) * toFloat64(facet_sale))), ('aftersale', count(facet_aftersale), sum(toFloat64(facet_aftersale)), sum(toFloat64(facet_aftersale) * toFloat64(facet_aftersale))), ('impression', count(facet_impression), sum(toFloat64(facet_impression)), sum(toFloat64(facet_impression) * toFloat64(facet_impression)))],
                        if({of:String} = 's5', [('smile', count(s5_smile), sum(toFloat64(s5_smile)), sum(toFloat64(s5_smile) * toFloat64(s5_smile))), ('speed', count(s5_speed), sum(toFloat64(s5_speed)), sum(toFloat64(s5_speed) * toFloat64(s5_speed))), ('sincerity', count(s5_sincerity), sum(toFloat64(s5_sincerity)), sum(toFloat64(s5_sincerity) * toFloat64(s5_sincerity))), ('smart', count(s5_smart), sum(toFloat64(s5_smart)), sum(toFloat64(s5_smart) * toFloat64(s5_smart))), ('study', count(s5_study), sum(toFloat64(s5_study)), sum(toFloat64(s5_study) * toFloat64(s5_study)))],
                        [('product', count(element_product), sum(toFloat64(element_product)), sum(toFloat64(element_product) * toFloat64(element_product))), ('service', count(element_service), sum(toFloat64(element_service)), sum(toFloat64(element_service) * toFloat64(element_service))), ('image', count(element_image), sum(toFloat64(element_image)), sum(toFloat64(element_image) * toFloat64(element_image)))])) AS parts
                FROM feedback_cuts
                WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String}) AND ({product:String} = '' OR product = {product:String}) AND ({language:String} = '' OR language = {language:String}) AND ({stage:String} = '' OR stage = {stage:String})
                    AND bucket >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND bucket < {to:DateTime}
                GROUP BY tenant, bucket, label
            )
        )
        WHERE throwIf({of:String} NOT IN ('element', 'facet', 's5'), 'of takes element, facet or s5') = 0
            AND throwIf({by:String} NOT IN ('all', 'minute', 'hour', 'day', 'week', 'month'), 'by takes minute, hour, day, week, month or all') = 0
            AND throwIf({split:String} NOT IN ('', 'channel', 'product', 'language', 'stage'), 'split takes channel, product, language or stage, or nothing') = 0
        GROUP BY period, tenant, label, part
    ) AS c
    LEFT JOIN (SELECT tenant, element, weight, basis FROM satisfaction_weights WHERE {of:String} = 'element' AND ({tenant:String} = '' OR tenant = {tenant:String})) AS w
        ON c.tenant = w.tenant AND c.part = w.element
    GROUP BY period, tenant, label
    HAVING max(c.n) > 0 OR {by:String} = 'all' AND {split:String} = ''
)
ORDER BY tenant, label, time, indexOf(['overall', 'product', 'service', 'image'], part), part
