"""What a message says: from a campaign's template to the text of each recipient, and its length in segments.

Takes templates and columns of attributes; returns texts, findings and segment counts. Read `template`,
`placeholders`, `render`, `segments`, `characters`, then `texts` and `outgoing` (the text with site name and opt-out
language), `empty_text` and `text_estimate`.
"""
