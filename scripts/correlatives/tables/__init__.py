"""Tables in: read, map, check, and derive what the analyses need."""
