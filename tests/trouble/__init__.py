"""Processes killed, stopped and starved in the middle of campaigns on the real stack; everybody is accounted for."""
