-- The weights of the churn score, in the open: a customer's score is 1 / (1 + exp(-sum)), where the sum is the base and each
-- sign times its weight. They are set by judgement and not fitted to anything, so the score is an order of whom to ask
-- first until churn_calibration shows what came of it. churn_scores reads its weights here and nowhere else.
CREATE OR REPLACE VIEW churn_weights
(
    version UInt8 COMMENT 'Version of the formula and its weights.',
    sign String COMMENT 'What speaks for or against the customer leaving.',
    weight Float64 COMMENT 'Added to the sum of log odds when the sign is at its full value of 1.',
    measured String COMMENT 'How the sign is measured, 0 to 1.'
)
AS
SELECT 1 AS version, s.1 AS sign, s.2 AS weight, s.3 AS measured
FROM
(
    SELECT arrayJoin([
        ('base', -4., 'Always 1.'),
        ('words', 4., 'The highest churn_risk of the customer\'s texts, each halved every 45 days.'),
        ('mood', 1., 'How far below 0 the mood is: the mean of ratings, and of scores where there is no rating, each weighing half as much every 14 days.'),
        ('trend', 1.5, 'How far the mood is below the plain mean of the same values; from 3 values on.'),
        ('waiting', 1., 'Days since the oldest text that wants an answer and has none, up to 7, divided by 7.'),
        ('double', 1., '1 if the customer had two failures on different days, a day or more apart, in the last 30 days: complaints, notices, low ratings, reopened cases.'),
        ('effort', 0.5, 'The hardest effort told of, divided by 5.'),
        ('silence', 1.5, 'Silence in multiples of the customer\'s own mean gap between days of contact (a day at least): 0 up to 2, 1 from 4 on; from 4 days of contact on.'),
        ('retained', -2., 'That the customer was retained, halved every 45 days.')
    ]) AS s
)
