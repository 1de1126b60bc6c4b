"""What strategies and the daemon say to each other. No I/O, no clock, no venue spelling."""
