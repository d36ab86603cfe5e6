"""A campaign on a virtual clock: production rules, lanes, limits and accounting, with everything around in memory."""
