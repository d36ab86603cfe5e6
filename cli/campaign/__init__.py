"""`longwave campaign` and `longwave explain`."""
