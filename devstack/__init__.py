"""The local stack without Docker: Kafka, a ClickHouse endpoint over chDB, and a supervisor of processes."""
