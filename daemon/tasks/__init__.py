"""The long-lived trio tasks: each file is one box of the nursery tree in README.md."""
