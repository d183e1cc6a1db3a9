"""Load what lies in a lower tier, or compute it again: one policy per file."""
