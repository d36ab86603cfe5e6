"""`longwave demo`: a sample campaign, watched live."""
