"""A slice from its INTENT, read back, to its RESULT (rules L3 and L5).

Takes slices, connections and the aggregator's answers; returns which recipients are handed over and when, and the
groups of the RESULT. Read `line` (slices wait in order), `last_check`, `punctuality` (how late a
slice is), and `submission`.
"""
