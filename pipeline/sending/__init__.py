"""What a lane's owner does next: claim, pick, pace, check, and process answers (rules L1, L2, L5 to L7 and L9).

`driver` takes the records of a lane's log, time and answers, and returns `effects` for its host to carry out. Read
`driver`, then its parts in the order in which a slice meets them: `ownership` (whose lane it is, and its place in the
log), `picking` (what is written next), `submitting` (from the INTENT to the RESULT), `unknown` (outcomes that are not
known), and `outage` (the aggregator does not work).
"""
