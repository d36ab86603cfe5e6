"""The domains of an account's links in one lane, for those outside of it.

Takes the lane's state and the time; returns which campaigns are held because their domains are used up, and what the
accounts' step must know. Read `shortage`, then `reporting`. Which domains a slice gets is decided where it is picked
(`pipeline.sending.picking.domains`).
"""
