"""Which entry of a full memory tier has to go: one policy per file."""
