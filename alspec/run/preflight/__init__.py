"""What is checked before the first step: data, models, disk."""
