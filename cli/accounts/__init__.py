"""`longwave accounts`, `senders`, `prices`."""
