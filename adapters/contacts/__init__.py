"""Contact files, from bytes to rows and from rejected rows back to a file; and the store of contacts."""
