-- Campaign documents as the topic `campaigns` has them; the highest revision is the current one.
CREATE TABLE IF NOT EXISTS campaigns
(
    id FixedString(8),
    name String,
    tags Array(LowCardinality(String)),
    account LowCardinality(String),
    sender LowCardinality(String),
    status LowCardinality(String),
    reason String,
    created DateTime64(3, 'UTC'),
    updated DateTime64(3, 'UTC'),
    launched Nullable(DateTime64(3, 'UTC')),
    finished Nullable(DateTime64(3, 'UTC')),
    recipients UInt32,
    revision UInt64,
    spec String
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY id;

-- Every consent given or withdrawn; a repeated record is the same row.
CREATE TABLE IF NOT EXISTS consents
(
    number UInt64,
    at DateTime64(3, 'UTC'),
    out Bool,
    source LowCardinality(String),
    evidence String
)
ENGINE = ReplacingMergeTree
ORDER BY (number, at, out, source);
