"""How tumours become resistant: baseline, on-treatment and progression samples."""
