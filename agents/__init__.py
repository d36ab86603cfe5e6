"""Faust: one agent for each step in the order in which a message travels, hosts of the lanes, guards around Faust."""
