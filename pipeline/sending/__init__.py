"""What a lane's owner does next: claims, picks, paces, checks, and reads answers (rules L1, L2, L5 to L7 and L9).

`driver` takes the records of a lane's log, time and answers, and returns `effects` for its host to carry out. Read
`driver`, then its parts in the order in which a slice meets them: `claiming`, `replay`, `proposing` (with `due`,
`picker`, `poison`), `line`, `last_check`, `submission`, `asking` (with `ask` and `unknown_policy`), `outage` (with
`breaker`), `checkpointing`; and `spread` (which worker has which lane).
"""
