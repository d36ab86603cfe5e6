"""`longwave accounts`, `senders`, `domains`, `prices`."""
