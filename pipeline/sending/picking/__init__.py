"""What a lane's owner writes into the log next: the INTENTs, and who leaves the queue instead (rules L2, L5 to L7).

Takes the lane's state, its limits and the time; returns records. Read `due` (what becomes queued by time alone),
`proposing` (within which limits something is picked), `picker` (which slices), and `poison` (what makes it fail).
"""
