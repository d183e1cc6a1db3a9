"""Results to look at: the HTML report with one file per figure, and the table for a terminal."""
