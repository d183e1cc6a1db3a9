"""One file per measured operation: which columns it needs, and how its rows become arguments of a law."""
