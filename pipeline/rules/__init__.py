"""Rules as dated data (TOML), each entry with its source. Not legal advice."""
