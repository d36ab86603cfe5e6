"""The local stack: Kafka, the ClickHouse endpoint and our own processes under one supervisor."""
