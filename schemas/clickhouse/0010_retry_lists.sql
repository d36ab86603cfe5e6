-- Whom a retry goes to: recipients of an earlier campaign, with the values that its texts had. They are no contacts and
-- say nothing about consent. Each try at a list has an `attempt` of its own, as the freezes of audiences have.
CREATE TABLE IF NOT EXISTS retry_recipients
(
    list String,
    attempt UInt64,
    bucket UInt16,
    number UInt64,
    country LowCardinality(String),
    region LowCardinality(String),
    zone LowCardinality(String),
    attributes Map(LowCardinality(String), String),
    made DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY (list, attempt, bucket, number)
TTL toDateTime(made) + INTERVAL 1830 DAY;

-- One row per completed attempt. The first one of a list is the list, a later one is never read.
CREATE TABLE IF NOT EXISTS retry_lists
(
    list String,
    attempt UInt64,
    recipients UInt32,
    made DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = MergeTree
ORDER BY list
TTL toDateTime(made) + INTERVAL 1830 DAY;
