"""Health of a process: `state` has what it is waiting for, `probes` ask Kafka and ClickHouse, `server` answers."""
