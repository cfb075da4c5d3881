-- Every time a customer spoke, in order, by the cells of an alert rule: what 'earshot alert simulate' replays.
-- param feed Identifier in alert_feed|alert_feed_mentions = alert_feed: alert_feed, or alert_feed_mentions to count by element, facet or theme
-- param from DateTime64(3) = 2000-01-01 00:00:00: from when on, UTC
-- param to DateTime64(3) = 2100-01-01 00:00:00: until when, UTC, itself left out
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
    tenant,
    if({by_channel:UInt8} = 1, channel, '') AS cell_channel,
    if({by_product:UInt8} = 1, product, '') AS cell_product,
    if({by_element:UInt8} = 1, element, '') AS cell_element,
    if({by_facet:UInt8} = 1, facet, '') AS cell_facet,
    if({by_theme:UInt8} = 1, theme, '') AS cell_theme,
    channel AS source,
    toUnixTimestamp64Milli(occurred_at) AS at,
    toString(customer) AS who,
    toUInt8(negative) AS negative,
    toUInt8(named) AS named
FROM {feed:Identifier}
WHERE occurred_at >= {from:DateTime64(3)} AND occurred_at < {to:DateTime64(3)}
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
ORDER BY occurred_at, event_id
