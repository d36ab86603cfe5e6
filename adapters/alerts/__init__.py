"""What delivers alerts to people: mail and webhooks. An attempt never raises for what the other side does."""
