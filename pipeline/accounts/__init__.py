"""Decides how accounts, senders and price lists change, and what lanes and campaigns hear of it.

Takes documents and commands; returns the next documents and the effects. Read `placing` and `lane_terms` for where a
sender sends from and how fast, `prices` for what a segment costs, `holding` and `checks` for what must hold, then the
state machine: `transitions`, `changes`, `price_changes`. `book` is what all others read, `diff` what a file would
change.
"""
