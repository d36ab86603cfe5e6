"""A campaign on a virtual clock: production rules, lanes, limits and accounting; everything else is in memory."""
