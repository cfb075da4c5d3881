-- The query themes as it is mostly asked, of every channel and the last 30 days heard of: what the view theme_growth says, in
-- the words and figures of the query. It is asked in place of the query where the rows of that view are cached.
-- usual channel, from, to
SELECT
    tenant, theme, customers, unknown_customers, heard, round(share, 1) AS share, round(share_low, 1) AS share_low, round(share_high, 1) AS share_high,
    unhappy_customers, mentions, customers_before, heard_before, round(growth, 2) AS growth, round(growth_low, 2) AS growth_low,
    round(growth_high, 2) AS growth_high, round(growth_p, 4) AS growth_p, changed, complained, round(silent, 1) AS silent,
    round(silent_low, 1) AS silent_low, round(silent_high, 1) AS silent_high, silent_basis, first_seen, last_seen, quotes, since, until
FROM theme_growth
WHERE {tenant:String} = '' OR tenant = {tenant:String}
ORDER BY unhappy_customers DESC, customers DESC, tenant, theme
LIMIT {limit:UInt32}
