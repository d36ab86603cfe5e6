"""Turns files and typed numbers into contacts, consent changes, audiences and recipient chunks.

Takes lines and columns of files; returns contacts, consent changes and rejections with reasons, and ranges of
ordinals. Read `columns` (what each column is, with `column_words`, `consent_columns` and `survey`),
then `contact_lines` and `optout_lines` with `rejections`, then `typed_numbers` and `fanout`.
"""
