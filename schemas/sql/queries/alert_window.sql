-- How many different customers spoke in one window, and how many of them said something negative, by the cells of an
-- alert rule and by channel. Who spoke in several channels counts once, where that was last. Steps divide the window into
-- shorter ones that end with it, so that all of them are counted at one go: a row is of those who spoke last within one step
-- and said the last negative thing within another. No projection has customers, and looking for one would take a quarter of
-- the time of a small count.
-- param feed Identifier in alert_feed|alert_feed_mentions = alert_feed: alert_feed, or alert_feed_mentions to count by element, facet or theme
-- param from DateTime64(3) = 2000-01-01 00:00:00: from when on, UTC
-- param to DateTime64(3) = 2100-01-01 00:00:00: until when, UTC, itself left out
-- param late_after UInt32 = 0: leave out what was received more than so many seconds after it happened, or after the day where only that is told; 0: nothing
-- param steps Array(UInt32) = []: milliseconds before the end, the fewest first
-- param by_channel UInt8 in 0|1 = 1: 1: a cell for each channel
-- param by_product UInt8 in 0|1 = 0: 1: a cell for each product
-- param by_element UInt8 in 0|1 = 0: 1: a cell for each element
-- param by_facet UInt8 in 0|1 = 0: 1: a cell for each facet
-- param by_theme UInt8 in 0|1 = 0: 1: a cell for each theme
-- param tenants Array(String) = []: only these tenants; empty: all
-- param channels Array(String) = []: only these channels; empty: all
-- param products Array(String) = []: only these products; empty: all
-- param elements Array(String) = []: only these elements; empty: all
-- param facets Array(String) = []: only these facets; empty: all
-- param themes Array(String) = []: only these themes; empty: all
-- param intents Array(String) = []: only these intents; empty: all
-- param urgencies Array(String) = []: only these urgencies; empty: all
-- param words Array(String) = []: only texts with one of these words; empty: all
SELECT
    tenant, cell_channel, cell_product, cell_element, cell_facet, cell_theme, source,
    arrayFirst(s -> last >= {to:DateTime64(3)} - toIntervalMillisecond(s), {steps:Array(UInt32)}) AS within,
    arrayFirst(s -> last_bad >= {to:DateTime64(3)} - toIntervalMillisecond(s), {steps:Array(UInt32)}) AS bad_within,
    count() AS total,
    countIf(bad) AS negatives,
    countIf(NOT known) AS unnamed,
    countIf(bad AND NOT known) AS unnamed_negatives
FROM
(
    SELECT
        tenant,
        if({by_channel:UInt8} = 1, channel, '') AS cell_channel,
        if({by_product:UInt8} = 1, product, '') AS cell_product,
        if({by_element:UInt8} = 1, element, '') AS cell_element,
        if({by_facet:UInt8} = 1, facet, '') AS cell_facet,
        if({by_theme:UInt8} = 1, theme, '') AS cell_theme,
        argMax(channel, occurred_at) AS source,
        max(negative) AS bad,
        max(named) AS known,
        max(occurred_at) AS last,
        maxIf(occurred_at, negative) AS last_bad
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
        AND ({by_element:UInt8} = 0 OR element != '') AND ({by_facet:UInt8} = 0 OR facet != '') AND ({by_theme:UInt8} = 0 OR theme != '')
        AND ({by_product:UInt8} = 0 OR product != '')
    GROUP BY tenant, cell_channel, cell_product, cell_element, cell_facet, cell_theme, customer
)
GROUP BY tenant, cell_channel, cell_product, cell_element, cell_facet, cell_theme, source, within, bad_within
ORDER BY tenant, cell_channel, cell_product, cell_element, cell_facet, cell_theme, source, within, bad_within
SETTINGS optimize_use_projections = 0
