"""What a person writes and what runs: schema, loading with line numbers, merging, building and running scenarios."""
