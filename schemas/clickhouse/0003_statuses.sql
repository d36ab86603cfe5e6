-- Where the writer inserts: one row per group of a status chunk. Nothing is kept here; the two views below are.
-- A range [first, last) stands for its ordinals, `ordinals` is empty then.
CREATE TABLE IF NOT EXISTS status_groups
(
    campaign FixedString(8),
    message UInt8,
    at DateTime64(3, 'UTC'),
    lane Int16,
    state LowCardinality(String),
    reason LowCardinality(String),
    attempt UInt16,
    variant UInt8,
    segments UInt8,
    price UInt64,
    first UInt32,
    last UInt32,
    ordinals Array(UInt32),
    ids Array(String),
    inserted DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = Null;

-- Counts are sets: a replayed row adds nothing to a bitmap. Bitmaps barely compress, reading them is the cost.
CREATE TABLE IF NOT EXISTS state_sets
(
    campaign FixedString(8),
    message UInt8,
    state LowCardinality(String),
    reason LowCardinality(String),
    attempt UInt16,
    variant UInt8,
    segments UInt8,
    price UInt64,
    ordinals AggregateFunction(groupBitmap, UInt32) CODEC(NONE),
    first_at SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    last_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    inserted SimpleAggregateFunction(max, DateTime64(3, 'UTC'))
)
ENGINE = AggregatingMergeTree
ORDER BY (campaign, message, state, reason, attempt, variant, segments, price);

-- Only what a state needs splits its sets: attempts order the waiting states and the unknown one, segments and prices are
-- what was billed.
CREATE MATERIALIZED VIEW IF NOT EXISTS state_sets_view TO state_sets AS
SELECT campaign, message, state, reason, set_attempt AS attempt, variant, set_segments AS segments, set_price AS price,
    groupBitmapState(ordinal) AS ordinals, min(at) AS first_at, max(at) AS last_at, max(stored) AS inserted
FROM
(
    SELECT campaign, message, state, reason, variant, at, inserted AS stored,
        if(state IN ('delayed', 'queued', 'in_flight', 'unknown'), attempt, 0) AS set_attempt,
        if(state IN ('accepted', 'unknown'), segments, 0) AS set_segments,
        if(state IN ('accepted', 'unknown'), price, 0) AS set_price,
        arrayJoin(if(last > first, range(first, last), ordinals)) AS ordinal
    FROM status_groups
)
GROUP BY campaign, message, state, reason, set_attempt, variant, set_segments, set_price;

-- The same rows as they came, for the export: who, when, why, the aggregator's id. Replayed rows are there twice.
CREATE TABLE IF NOT EXISTS status_log
(
    campaign FixedString(8),
    message UInt8,
    low UInt32,
    high UInt32,
    at DateTime64(3, 'UTC') CODEC(DoubleDelta, LZ4),
    lane Int16,
    state LowCardinality(String),
    reason LowCardinality(String),
    attempt UInt16,
    variant UInt8,
    segments UInt8,
    price UInt64,
    first UInt32,
    last UInt32,
    ordinals Array(UInt32) CODEC(Delta, LZ4),
    ids Array(String) CODEC(ZSTD(1)),
    INDEX highs high TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
ORDER BY (campaign, message, low)
SETTINGS index_granularity = 512;

CREATE MATERIALIZED VIEW IF NOT EXISTS status_log_view TO status_log AS
SELECT campaign, message, if(last > first, first, arrayMin(ordinals)) AS low,
    if(last > first, last - 1, arrayMax(ordinals)) AS high,
    at, lane, state, reason, attempt, variant, segments, price, first, last, ordinals, ids
FROM status_groups
WHERE last > first OR notEmpty(ordinals);

-- Failures with a reason, in the order in which they came, for what follows from them (`agents/suppression.py`).
-- The writer inserts them where there are any: a view would cost each insert an eighth, mostly for nothing.
CREATE TABLE IF NOT EXISTS failures
(
    campaign FixedString(8),
    message UInt8,
    at DateTime64(3, 'UTC'),
    reason LowCardinality(String),
    ordinals Array(UInt32),
    inserted DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY inserted
TTL toDateTime(inserted) + INTERVAL 8 DAY;

-- Numbers that carriers cannot reach, as topic `unreachable` has them; the highest place in the log is the current one.
CREATE TABLE IF NOT EXISTS unreachable
(
    number UInt64,
    log_offset UInt64,
    state LowCardinality(String),
    reason LowCardinality(String),
    at DateTime64(3, 'UTC'),
    account LowCardinality(String),
    campaign String,
    message UInt8,
    by String
)
ENGINE = ReplacingMergeTree(log_offset)
ORDER BY number;
