"""What a lane's owner does next: picks, paces, checks, and reads answers (rules L5 to L7).

Takes a lane's state and `now`; returns INTENTs, RESULT groups and pauses. Read `due`, `picker`, `submission`,
`breaker`, `ask` with `unknown_policy`, `poison`, and `spread` (which worker has which lane).
"""
