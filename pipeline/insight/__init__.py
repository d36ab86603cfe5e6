"""What people are told: figures that add up, what a launch would do, and why something is as it is.

Takes sizes of sets, plans and rehearsals; returns figures, findings and sentences. Read `accounting` and
`freshness`, then `review`, `forecast` with `forecast_groups` and `forecast_words`, and `story`.
"""
