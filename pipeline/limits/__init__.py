"""Limits how often one person gets messages, and how much a sender, carrier or account may send.

Takes reservations, segments and times; returns whether and when the next one fits. Read `smart_sending`, `caps` and
`reservations` (per person), then `rate` (per second) and `carrier_day` (per carrier and day).
"""
