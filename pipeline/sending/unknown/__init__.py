"""Attempts of which nobody knows the outcome: whether and when to ask, and what the answer means (rule L4).

Takes the flights of lost owners; returns queries and RESULTs. Read `policy` (which policies an aggregator can keep),
`ask` (one question), and `asking` (the questions of one lane).
"""
