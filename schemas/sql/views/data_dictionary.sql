-- What every column of every table and view means: the comments of this database in one place, for people and for the tools
-- that show them.
CREATE OR REPLACE VIEW data_dictionary
(
    object String COMMENT 'Table or view.',
    position UInt64 COMMENT 'Position of the column, from 1.',
    column String COMMENT 'Name of the column.',
    type String COMMENT 'ClickHouse type.',
    meaning String COMMENT 'What it holds.'
)
AS
SELECT table AS object, position, name AS column, type, comment AS meaning
FROM system.columns
WHERE database = currentDatabase()
ORDER BY object, position
