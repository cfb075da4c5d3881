-- How satisfied are customers with each of the five virtues of service: how many mention it, the index from 0 to 100,
-- and its 95 % interval. The formula is explained in views/satisfaction_by_s5.sql.
-- param tenant String = : whose customers; empty: everybody's
-- param channel String = : one channel; empty: all
-- param from DateTime = 1970-01-01 00:00:00: first hour, UTC; 1970: 90 days before the end or before the last hour heard of
-- param to DateTime = 2100-01-01 00:00:00: the hour after the last, UTC
SELECT
    tenant,
    part.1 AS s5,
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
                ('smile', sum(s5_smile_n), sum(s5_smile_sum), sum(s5_smile_squares)),
                ('speed', sum(s5_speed_n), sum(s5_speed_sum), sum(s5_speed_squares)),
                ('sincerity', sum(s5_sincerity_n), sum(s5_sincerity_sum), sum(s5_sincerity_squares)),
                ('smart', sum(s5_smart_n), sum(s5_smart_sum), sum(s5_smart_squares)),
                ('study', sum(s5_study_n), sum(s5_study_sum), sum(s5_study_squares))
            ]) AS part
        FROM satisfaction_hourly
        WHERE hour >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND hour < {to:DateTime} AND ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String})
        GROUP BY tenant
    )
)
ORDER BY tenant, indexOf(['smile', 'speed', 'sincerity', 'smart', 'study'], s5)
