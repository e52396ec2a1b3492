"""What a journal prints: tables, text, provenance."""
