-- How satisfied are customers with each facet: the parts of product, service and image: how many mention it, the index from 0 to 100,
-- and its 95 % interval. The formula is explained in views/satisfaction_by_facet.sql.
-- param tenant String = : whose customers; empty: everybody's
-- param channel String = : one channel; empty: all
-- param from DateTime = 1970-01-01 00:00:00: first hour, UTC; 1970: 90 days before the end or before the last hour heard of
-- param to DateTime = 2100-01-01 00:00:00: the hour after the last, UTC
SELECT
    tenant,
    multiIf(facet IN ('quality', 'packaging', 'price'), 'product', facet = 'impression', 'image', 'service') AS element,
    part.1 AS facet,
    part.2 AS n,
    round(if(n = 0, NULL, total / n), 4) AS mean,
    round(50 * (1 + total / (n + 20)), 1) AS satisfaction,
    round(greatest(50 * (1 + total / (n + 20) - 1.959964 * sqrt(greatest((squares + 20 / 3) / (n + 20) - (total / (n + 20)) * (total / (n + 20)), 0) / (n + 20))), 0), 1) AS satisfaction_low,
    round(least(50 * (1 + total / (n + 20) + 1.959964 * sqrt(greatest((squares + 20 / 3) / (n + 20) - (total / (n + 20)) * (total / (n + 20)), 0) / (n + 20))), 100), 1) AS satisfaction_high
FROM
(
    SELECT tenant, part, part.3 AS total, part.4 AS squares
    FROM
    (
        SELECT
            tenant,
            arrayJoin([
                ('quality', sum(facet_quality_n), sum(facet_quality_sum), sum(facet_quality_squares)),
                ('packaging', sum(facet_packaging_n), sum(facet_packaging_sum), sum(facet_packaging_squares)),
                ('price', sum(facet_price_n), sum(facet_price_sum), sum(facet_price_squares)),
                ('presale', sum(facet_presale_n), sum(facet_presale_sum), sum(facet_presale_squares)),
                ('sale', sum(facet_sale_n), sum(facet_sale_sum), sum(facet_sale_squares)),
                ('aftersale', sum(facet_aftersale_n), sum(facet_aftersale_sum), sum(facet_aftersale_squares)),
                ('impression', sum(facet_impression_n), sum(facet_impression_sum), sum(facet_impression_squares))
            ]) AS part
        FROM satisfaction_hourly
        WHERE hour >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND hour < {to:DateTime} AND ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String})
        GROUP BY tenant
    )
)
ORDER BY tenant, indexOf(['quality', 'packaging', 'price', 'presale', 'sale', 'aftersale', 'impression'], facet)
