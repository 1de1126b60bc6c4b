"""`canceld check`, the part that asks the venues: what it asks, and what their answers mean."""
