-- The ledger's facts as topic `ledger` has them; a repeated record is the same row. What a campaign spent in a period is
-- the difference of two rows of it. Kept for ten years, as long as books of account must be kept almost everywhere.
CREATE TABLE IF NOT EXISTS ledger_charges
(
    account LowCardinality(String),
    campaign FixedString(8),
    number UInt64,
    at DateTime64(3, 'UTC'),
    launch UInt64,
    billing LowCardinality(String),
    state LowCardinality(String),
    reserved Int64,
    charged Int64,
    uncovered Int64,
    prices Array(UInt64),
    messages Array(UInt64),
    segments Array(UInt64)
)
ENGINE = ReplacingMergeTree
ORDER BY (account, campaign, number)
TTL toDateTime(at) + INTERVAL 3660 DAY;

CREATE TABLE IF NOT EXISTS ledger_top_ups
(
    account LowCardinality(String),
    id String,
    at DateTime64(3, 'UTC'),
    amount Int64,
    note String,
    who String,
    refused LowCardinality(String)
)
ENGINE = ReplacingMergeTree
ORDER BY (account, id)
TTL toDateTime(at) + INTERVAL 3660 DAY;
