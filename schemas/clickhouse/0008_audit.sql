-- Who did what through the API. An entry that is written twice has the same id.
CREATE TABLE IF NOT EXISTS audit
(
    at DateTime64(3, 'UTC'),
    id String,
    key_id LowCardinality(String),
    name LowCardinality(String),
    who String,
    address String,
    method LowCardinality(String),
    path String,
    account LowCardinality(String),
    campaign String,
    status UInt16,
    before String,
    after String
)
ENGINE = ReplacingMergeTree
ORDER BY (at, id)
TTL toDateTime(at) + INTERVAL 1830 DAY;
