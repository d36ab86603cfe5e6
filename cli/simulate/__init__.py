"""`longwave simulate FILE`."""
