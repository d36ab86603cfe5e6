"""Alerts: who of an account is told what, when, and in which words.

Takes what detectors found and what came of each attempt to deliver it; returns what is stored of it next. Read
`deliveries`, then `texts`, `sms`, and `signing`.
"""
