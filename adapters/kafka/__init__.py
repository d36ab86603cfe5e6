"""Kafka: the producer, topics, views of compacted topics, dead letters, health. No other package makes a client."""
