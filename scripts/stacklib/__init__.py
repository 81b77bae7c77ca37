"""The parts of `scripts/stack`: jars, configuration files, probes, processes."""
