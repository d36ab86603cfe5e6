"""`longwave contacts`: import, show, export, erase."""
