"""Alerts to accounts' people: `step` keeps what became of each, `deliverer` sends mails and POSTs in between."""
