"""The report's figures: one module a kind of figure, all drawn by `draw`."""
