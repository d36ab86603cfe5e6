-- How long details are kept: five years after the last thing that happened, longer than anybody may sue over a message.
-- The figures of a campaign (`message_figures`), its document and every consent stay. Parts that are there already take
-- the TTL with their next merge. What has no TTL, and why, is in docs/connecting/clickhouse.md.
ALTER TABLE audience ADD COLUMN IF NOT EXISTS kept_from DateTime MATERIALIZED now() CODEC(Delta, ZSTD(1));
ALTER TABLE audience MODIFY TTL kept_from + INTERVAL 1830 DAY SETTINGS materialize_ttl_after_modify = 0;
ALTER TABLE audiences MODIFY TTL toDateTime(frozen) + INTERVAL 1830 DAY SETTINGS materialize_ttl_after_modify = 0;
ALTER TABLE state_sets MODIFY TTL toDateTime(inserted) + INTERVAL 1830 DAY SETTINGS materialize_ttl_after_modify = 0;
ALTER TABLE status_log MODIFY TTL toDateTime(at) + INTERVAL 1830 DAY SETTINGS materialize_ttl_after_modify = 0;
ALTER TABLE replies MODIFY TTL toDateTime(at) + INTERVAL 1830 DAY SETTINGS materialize_ttl_after_modify = 0;
ALTER TABLE inbound MODIFY TTL toDateTime(received) + INTERVAL 1830 DAY SETTINGS materialize_ttl_after_modify = 0;
ALTER TABLE attributed MODIFY TTL toDateTime(decided) + INTERVAL 1830 DAY SETTINGS materialize_ttl_after_modify = 0;

-- Minutes are asked for by time.
ALTER TABLE status_log ADD INDEX IF NOT EXISTS times at TYPE minmax GRANULARITY 4;
