"""The parts of `scripts/bench`: the program and its daemons, what is measured, how it is told."""
