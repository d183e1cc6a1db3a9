"""What a run means in numbers: statistics, SLO, energy and cost, computed from result tables and facts alone."""
