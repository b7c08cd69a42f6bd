"""Studies: a whole study declared in one file; only what is missing is run."""
