"""`longwave up`, `down`, `status`, `doctor`: the local stack of Kafka, ClickHouse and our processes."""
