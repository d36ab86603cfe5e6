"""A simulated aggregator: answers as its script says, and keeps a record of everything that really arrived."""
