"""A phone number as a person or a program wrote it → the E.164 digits and the country of one person, or why not.

Takes cells of text; returns numbers or reasons of a closed list. Read `cleaning` (what is around the digits),
`twins` (two spellings of one handset), `numbering` (a number alone), `judging` (a whole file), then `mentions`
(everybody whom an opt-out may name). `placed` and `area_codes` say where a number belongs.
"""
