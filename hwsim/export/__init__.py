"""Results in files: the run folder, and one file per format of other programs, each made from a run folder."""
