"""What every request and answer has in common: bodies, errors, cursors, deadlines, idempotency, hosts, OpenAPI."""
