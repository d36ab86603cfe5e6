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

-- Every change of consent, where it stands in the topic `optouts`: a repeated record is the same row. All records of one
-- account, number and hold are in one partition, so their order is that of `log_offset`; `at` decides nothing.
CREATE TABLE IF NOT EXISTS consents
(
    number UInt64,
    account LowCardinality(String),
    hold String,
    log_partition UInt16,
    log_offset UInt64,
    recorded DateTime64(3, 'UTC'),
    at DateTime64(3, 'UTC'),
    state LowCardinality(String),
    source LowCardinality(String),
    evidence String,
    word String,
    rule LowCardinality(String),
    who String,
    campaign LowCardinality(String)
)
ENGINE = ReplacingMergeTree
ORDER BY (number, account, hold, log_partition, log_offset);
