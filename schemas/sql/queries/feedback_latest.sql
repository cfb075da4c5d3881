-- What customers said last, newest first, with what was made of it. The columns time, body and level are named as log
-- panels expect them.
-- param tenant String = : whose customers; empty: everybody's
-- param channel String = : one channel; empty: all
-- param product String = : one product; empty: all
-- param element String in product|service|image|unspecified = : one element, as a thing spoken of; empty: all
-- param facet String in quality|packaging|price|presale|sale|aftersale|impression = : one facet, as the same thing; empty: all
-- param theme String = : one theme, as the same thing; empty: all
-- param from DateTime = 1970-01-01 00:00:00: from when on, UTC; 1970: 90 days before the end or before the last hour heard of
-- param to DateTime = 2100-01-01 00:00:00: until when, UTC, itself left out
-- param limit UInt32 = 20: how many
SELECT
    occurred_at AS time, text AS body, sentiment AS level, tenant, channel, kind, round(score, 2) AS score, intent, element, stage, language,
    rating, rating_disagrees, churn_risk, response_needed, event_id
FROM feedback_current
WHERE occurred_at >= if({from:DateTime} = toDateTime(0), least({to:DateTime}, (SELECT toDateTime(toStartOfHour(max(occurred_at)), 'UTC') + 3600 FROM feedback)) - 90 * 86400, {from:DateTime}) AND occurred_at < {to:DateTime} AND text != '' AND actor_kind = 'customer'
    AND ({tenant:String} = '' OR tenant = {tenant:String}) AND ({channel:String} = '' OR channel = {channel:String})
    AND ({product:String} = '' OR product_id = {product:String})
    AND (({element:String} = '' AND {facet:String} = '' AND {theme:String} = '') OR arrayExists((e, f, t) -> ({element:String} = '' OR e = {element:String})
        AND ({facet:String} = '' OR f = {facet:String}) AND ({theme:String} = '' OR t = {theme:String}), mention_element, mention_facet, mention_theme))
ORDER BY occurred_at DESC, shard, seq DESC
LIMIT {limit:UInt32}
