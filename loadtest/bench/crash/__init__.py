"""The kill harness: real processes killed at seeded moments in the middle of campaigns, everybody accounted for."""
