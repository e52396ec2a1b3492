"""Which biomarkers predict benefit from the experimental arm."""
