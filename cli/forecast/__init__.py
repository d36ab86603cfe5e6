"""`longwave forecast FILE`."""
