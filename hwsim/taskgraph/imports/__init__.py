"""Traces of other programs as task graphs, one format per file; ``PART`` reads a file into a list of events."""
