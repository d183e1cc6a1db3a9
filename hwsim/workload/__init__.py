"""What arrives: requests with arrival times and lengths, drawn from distributions or read from traces."""
