"""The rules, without IO and without a clock: each takes `now` and state as arguments and returns what follows.

In the order in which they may import each other (`tests/test_layout.py` keeps it), which is also a good order to
read:

- `identity`: recipients and messages as numbers: buckets, sets of hashes, tokens
- `numbers`: a phone number as written → one person
- `timing`: time zones, quiet hours, holidays
- `content`: from a template to the texts that go out, and their segments
- `audience`: from files and typed numbers to recipient chunks
- `limits`: how often, how many and how fast: smart sending, caps, carrier limits, rates
- `accounts`: accounts, senders and prices, how they change, and what lanes hear of them
- `ledger`: an account's money: top-ups, what campaigns reserve and spend, who waits
- `campaign`: a campaign compiled, and its status machine
- `feedback`: receipts, clicks and texts that come in
- `eligibility`: who gets a message and when, and why others do not
- `lane`: the fold of a lane's log
- `sending`: what a lane's owner writes next, and what it submits
- `insight`: accounting, review, forecast, and explanations for people
"""
