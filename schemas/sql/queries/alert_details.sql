-- What the customers counted by an alert said: when the first spoke, how many they are, the theme most speak of, and the
-- three newest, one a customer.
-- param feed Identifier in alert_feed|alert_feed_mentions = alert_feed: alert_feed, or alert_feed_mentions to count by element, facet or theme
-- param from DateTime64(3) = 2000-01-01 00:00:00: from when on, UTC
-- param to DateTime64(3) = 2100-01-01 00:00:00: until when, UTC, itself left out
-- param late_after UInt32 = 0: leave out what was received more than so many seconds after it happened, or after the day where only that is told; 0: nothing
-- param tenants Array(String) = []: only these tenants; empty: all
-- param channels Array(String) = []: only these channels; empty: all
-- param products Array(String) = []: only these products; empty: all
-- param elements Array(String) = []: only these elements; empty: all
-- param facets Array(String) = []: only these facets; empty: all
-- param themes Array(String) = []: only these themes; empty: all
-- param intents Array(String) = []: only these intents; empty: all
-- param urgencies Array(String) = []: only these urgencies; empty: all
-- param words Array(String) = []: only texts with one of these words; empty: all
-- param only_negative UInt8 in 0|1 = 1: 1: only what is negative counts
SELECT
    toUnixTimestamp64Milli(min(first_at)) AS first,
    uniqExact(customer) AS customers,
    countIf(NOT known) AS unnamed,
    arraySlice(topKIf(1)(last_theme, last_theme != ''), 1, 1) AS themes,
    arraySlice(arrayReverseSort(x -> x.1, groupArray(said)), 1, 3) AS quotes
FROM
(
    SELECT customer, max(named) AS known, min(occurred_at) AS first_at, argMax(theme, occurred_at) AS last_theme,
        argMax((occurred_at, quote, toString(event_id)), occurred_at) AS said
    FROM {feed:Identifier}
    WHERE occurred_at >= {from:DateTime64(3)} AND occurred_at < {to:DateTime64(3)}
        AND ({late_after:UInt32} = 0 OR received_at <= occurred_at + toIntervalSecond({late_after:UInt32} + if(occurred_at = toStartOfDay(occurred_at), 86400, 0)))
        AND (empty({tenants:Array(String)}) OR has({tenants:Array(String)}, tenant))
        AND (empty({channels:Array(String)}) OR has({channels:Array(String)}, channel))
        AND (empty({products:Array(String)}) OR has({products:Array(String)}, product))
        AND (empty({elements:Array(String)}) OR has({elements:Array(String)}, element))
        AND (empty({facets:Array(String)}) OR has({facets:Array(String)}, facet))
        AND (empty({themes:Array(String)}) OR has({themes:Array(String)}, theme))
        AND (empty({intents:Array(String)}) OR has({intents:Array(String)}, intent))
        AND (empty({urgencies:Array(String)}) OR has({urgencies:Array(String)}, urgency))
        AND (empty({words:Array(String)}) OR arrayExists(w -> positionCaseInsensitiveUTF8(text, w) > 0, {words:Array(String)}))
        AND ({only_negative:UInt8} = 0 OR negative)
    GROUP BY customer
)
