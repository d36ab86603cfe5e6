"""The senders of one lane: how much each may submit, and who has its turn next.

Takes the terms in the lane's log and the time; returns the senders that may go, and in how many seconds the next one
may. Read `flow` (a limit as it is used), `punctuality` (how late messages are by it), `schedule` (whose turn it is),
`roster` (which senders and accounts there are), and `backlog` (what waits).
"""
