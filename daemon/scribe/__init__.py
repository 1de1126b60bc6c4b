"""Who writes the audit record down: the lines, their chain, the files. In the daemon's child, or in a simulation."""
