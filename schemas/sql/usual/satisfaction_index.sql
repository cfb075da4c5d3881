-- The query satisfaction_index as it is mostly asked, of the elements: planning what it says of facets and virtues takes as long as
-- the rest.
-- usual of
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
        arrayJoin(arrayConcat(rows, [(
            'overall', sum(c.n), sum(ifNull(w.weight, 0) * index(c.n, c.total)), sqrt(sum(pow(ifNull(w.weight, 0) * half(c.n, c.total, c.squares), 2))),
            sum(w.weight), any(w.basis))])) AS row
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
                    [('product', count(element_product), sum(toFloat64(element_product)), sum(toFloat64(element_product) * toFloat64(element_product))), ('service', count(element_service), sum(toFloat64(element_service)), sum(toFloat64(element_service) * toFloat64(element_service))), ('image', count(element_image), sum(toFloat64(element_image)), sum(toFloat64(element_image) * toFloat64(element_image)))] AS parts
                FROM feedback_cuts
                WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String}) AND ({product:String} = '' OR product = {product:String}) AND ({language:String} = '' OR language = {language:String}) AND ({stage:String} = '' OR stage = {stage:String})
                    AND bucket >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND bucket < {to:DateTime}
                GROUP BY tenant, bucket, label
            )
        )
        WHERE throwIf({by:String} NOT IN ('all', 'minute', 'hour', 'day', 'week', 'month'), 'by takes minute, hour, day, week, month or all') = 0
            AND throwIf({split:String} NOT IN ('', 'channel', 'product', 'language', 'stage'), 'split takes channel, product, language or stage, or nothing') = 0
        GROUP BY period, tenant, label, part
    ) AS c
    LEFT JOIN (SELECT tenant, element, weight, basis FROM satisfaction_weights WHERE ({tenant:String} = '' OR tenant = {tenant:String})) AS w
        ON c.tenant = w.tenant AND c.part = w.element
    GROUP BY period, tenant, label
    HAVING max(c.n) > 0 OR {by:String} = 'all' AND {split:String} = ''
)
ORDER BY tenant, label, time, indexOf(['overall', 'product', 'service', 'image'], part), part
