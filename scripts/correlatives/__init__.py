"""Correlative objectives of a randomised trial: from tables of biomarkers and outcomes to publishable results."""

__version__ = "0.1.0"
