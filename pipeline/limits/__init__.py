"""How often one person, and how much one sender, carrier or account may be sent.

Takes reservations, segments and times; returns whether and when the next one fits. Read `smart_sending`, `caps` and
`reservations` (per person), then `rate` (per second) and `carrier_day` (per carrier and day).
"""
