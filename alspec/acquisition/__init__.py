"""Acquisition functions: score images or choose ids; see `base.py` for the plugin door."""
