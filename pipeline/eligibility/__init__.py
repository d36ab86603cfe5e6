"""Decides who of a recipient chunk gets the message, when at the earliest, and why the others do not.

Takes a chunk, a plan and tables of state; returns WORK for a lane and skips with their reasons. Read `optouts` and
`unreachable` (the two lists), `decide` (the decision), then `rehearsal` (the same decision for a campaign that is
not launched).
"""
