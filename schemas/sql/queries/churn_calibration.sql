-- Does the churn score hold what it promises: for each band of the scores as they stood 30 days ago, made of nothing that was
-- not known then, the mean score predicted and the share that left since, with its 95 % interval (Wilson), and whether the
-- prediction lies inside it; now_in_band is how many stand there now. Without customer.churned events nothing can be said, and nothing is.
-- param tenant String = : whose customers; empty: everybody's
SELECT
    tenant, band, now_in_band, if(scored = 0, NULL, as_of) AS scored_at, scored, left, round(predicted, 2) AS predicted,
    if(all_left = 0 OR scored = 0, NULL, round(100 * left / scored, 2)) AS observed,
    if(all_left = 0, NULL, round(if(scored = 0, NULL, greatest(100 * (left + 1.920729440648 - 1.959964 * sqrt(left * (scored - left) / scored + 0.960364720324)) / (scored + 3.841458881296), 0)), 2)) AS observed_low,
    if(all_left = 0, NULL, round(if(scored = 0, NULL, least(100 * (left + 1.920729440648 + 1.959964 * sqrt(left * (scored - left) / scored + 0.960364720324)) / (scored + 3.841458881296), 100)), 2)) AS observed_high,
    multiIf(all_scored = 0, 'not validated: nobody could be scored 30 days before', all_left = 0, 'not validated: nobody scored then has left since',
        scored = 0, 'not validated: nobody stood in this band', predicted < observed_low, 'too low', predicted > observed_high, 'too high', 'inside') AS verdict
FROM
(
    SELECT
        tenant, band, min(as_of) AS as_of, countIf(latest) AS now_in_band, countIf(NOT latest) AS scored, countIf(churned) AS left,
        if(scored = 0, NULL, 100 * avgIf(risk, NOT latest)) AS predicted,
        sum(countIf(NOT latest)) OVER (PARTITION BY tenant) AS all_scored, sum(countIf(churned)) OVER (PARTITION BY tenant) AS all_left
    FROM churn_scores
    WHERE ({tenant:String} = '' OR tenant = {tenant:String})
    GROUP BY tenant, band
)
ORDER BY tenant, indexOf(['low', 'raised', 'high', 'very high'], band)
