"""What travels through Kafka and what ClickHouse stores: topics, records, states, metrics and migrations."""
