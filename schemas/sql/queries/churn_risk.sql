-- Which customers are about to leave, and why: the score with everything it is made of (views/churn_scores.sql), how many
-- events it rests on, and how many of those in the same band 30 days before did leave, with the 95 % interval (Wilson).
-- As long as validated does not say yes, the score is an order of whom to ask first, not a probability.
-- param tenant String = : whose customers; empty: everybody's
-- param risk Float64 = 0: the lowest score shown
-- param limit UInt32 = 20: how many
SELECT
    tenant, customer_key, round(risk, 2) AS risk, band, reasons, events, last_seen, band_scored, band_left,
    round(band_predicted, 1) AS band_predicted, round(band_share, 1) AS band_share, round(band_low, 1) AS band_low, round(band_high, 1) AS band_high, validated, as_of
FROM customer_risk AS c
WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND c.risk >= {risk:Float64}
ORDER BY c.risk DESC, tenant, customer_key
LIMIT {limit:UInt32}
