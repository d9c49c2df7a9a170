"""Measures how long clients wait at another gateway after a drain or a rotation."""
