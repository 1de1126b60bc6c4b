"""What lays the program into a machine beside its own environment, and takes it away again."""
