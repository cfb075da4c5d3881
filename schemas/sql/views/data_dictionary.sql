-- What every column of every table and view means: the comments of this database in one place, for people and for the tools
-- that show them. The columns of feedback_current are those of the table feedback, whose comments they inherit here.
CREATE OR REPLACE VIEW data_dictionary
(
    object String COMMENT 'Table or view.',
    position UInt64 COMMENT 'Position of the column, from 1.',
    column String COMMENT 'Name of the column.',
    type String COMMENT 'ClickHouse type.',
    meaning String COMMENT 'What it holds.'
)
AS
SELECT
    c.table AS object, c.position AS position, c.name AS column, c.type AS type,
    if(c.comment = '' AND c.table = 'feedback_current', f.comment, c.comment) AS meaning
FROM system.columns AS c
LEFT JOIN
(
    SELECT name, comment FROM system.columns WHERE database = currentDatabase() AND table = 'feedback'
) AS f ON f.name = c.name
WHERE c.database = currentDatabase()
ORDER BY object, position
