"""Every method is switched off and flipped by machine, and its training test must go red. `python -m tests.mutants` prints it."""
