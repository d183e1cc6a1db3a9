"""Studies: many runs put beside each other or beside what was measured or published."""
