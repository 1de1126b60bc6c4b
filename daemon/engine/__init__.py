"""Every decision, made synchronously on values; time comes in as an argument. No I/O, no venue spelling."""
