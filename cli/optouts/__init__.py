"""`longwave optouts`: numbers that must not get messages."""
