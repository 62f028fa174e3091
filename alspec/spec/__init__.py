"""YAML text to a frozen `Study`."""
