"""A lane: the state that its log folds to. The log is the only truth (rules L1 to L4, L8, L9).

Takes records of topic `lanes` in their order; returns effects. Read `state` with `delay_table` and `scheduler`,
then `fold`, `results` and `outcomes`, `uncertain` (attempts without an outcome), `cancel`, `release`, `lateness`,
`status`, and `checkpoint`.
"""
