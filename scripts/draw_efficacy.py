"""Draw survival by arm, subgroups, best change and the course of the subjects."""
