"""Decides what becomes of an account's money: top-ups, reservations, spending, and who waits for a top-up.

Takes the account's facts and a command; returns the facts that follow and the answers. Read `sums` for what a
campaign's charge means, `book` for an account's facts and their sums, then `commands` for what each command changes,
`tariff` for the most that a campaign can cost, and `periods` for days and months of statements.
"""
