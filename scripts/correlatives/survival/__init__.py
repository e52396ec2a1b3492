"""Time-to-event methods."""
