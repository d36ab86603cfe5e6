"""Decides what a campaign's document means and how commands and progress change it.

Takes documents and commands; returns compiled plans, the next document and the effects. Read `completeness`,
`plan` with `terms`, `money` and `when`, then the status machine: `transitions`, `status_commands`, `statuses`,
`suspension`, `funding`, `resolving` and `settlement`. `selecting` and `retrying` are about those who are tried again;
`file` is a campaign as text.
"""
