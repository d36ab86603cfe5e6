"""The first bad night, rehearsed: incidents on a private stack that a real Prometheus watches with our rules.

Reading order: `durations`, `rules` and `past` (what Prometheus is given), `prometheus` (the process), `notifying`
(which alerts are sent), `panels` and `runbook` (what operators see and do), `stage` (the stack with traffic),
`incident` and `incidents` (what goes wrong), `verdict` and `run` (played and judged).
"""
