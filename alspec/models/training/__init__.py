"""Trainings: loop, s4GAN, checkpoints."""
