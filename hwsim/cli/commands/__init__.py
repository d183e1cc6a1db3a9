"""One file per command; ``PART`` is the function that typer turns into it."""
