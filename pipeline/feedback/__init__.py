"""Feedback: receipts of carriers, clicks, and texts from people.

Takes what aggregators and phones send, item by item; returns states, consent changes and replies. Read
`receipts`, `clicks`, then `inbound` with `inbound_sender`, `inbound_time`, `keywords` (with
`keyword_words` and `keyword_corpus`), `replies`, and `attribution`.
"""
