"""Pools: how they are made, and how redundant they are."""
