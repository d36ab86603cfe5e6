"""An aggregator that does not work: what is held back in the meantime, and what the campaigns say of it.

Takes answers and health checks; returns whether slices may go, and the campaigns' notes. Read `breaker`, then
`announcing`.
"""
