"""Identities of recipients and messages, as numbers that every part of Longwave computes in the same way.

Takes phone numbers, campaign ids and ordinals; returns buckets, hashes and tokens. Read `buckets` first, then
`packed_hashes` and `hash_set` (sets of millions), then `crockford`, `tokens` and `optout_links`.
"""
