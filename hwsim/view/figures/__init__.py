"""The figures of a report, one per file; a new file here is a new figure."""
