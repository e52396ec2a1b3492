"""Methods for two-valued outcomes."""
