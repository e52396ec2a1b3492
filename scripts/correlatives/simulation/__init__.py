"""What a simulated trial is made of: rates with their sources, patients, genes and assays."""
