"""The hub in a real browser."""
