"""Who owns a lane, and which of its log the owner has read and still needs (rules L1 and L9).

Takes assignments, OWNER records and offsets; returns whether the owner may act, what to read again, and when to write
a checkpoint. Read `spread` (which worker has which lane), `claiming`, `replay`, and `checkpointing`.
"""
