"""`longwave optouts`: who must not be sent to."""
