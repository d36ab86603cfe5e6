"""Decides when a message may be sent, by the law and the time zone of its recipient.

Takes instants in milliseconds UTC and places; returns the next allowed instant. Read `tz` and `hours`, `zones` and
`location_key` (where a recipient may be), `quiet_rules` with `public_holidays` (dated law), `quiet_hours` (the
answer), `quiet_gate` (asked again at the lane) and `quiet_explain` (the answer in words).
"""
