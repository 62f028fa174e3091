"""Labelling projects: batches of images to people and their masks back, files only."""
