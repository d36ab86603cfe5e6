"""Answers to operators' questions: figures that add up, reviews, forecasts, explanations and traces.

Takes sizes of sets, plans and rehearsals; returns figures, findings and sentences. Read `accounting` and
`freshness`, then `review`, `forecast` with `forecast_groups` and `forecast_words`, `story`, and `traces`.
"""
