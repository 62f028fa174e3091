"""The guide: Table 6 of the paper, its evidence and its limits."""
