"""Tests of what lays the program into a machine."""
