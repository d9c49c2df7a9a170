"""Adds security headers to the responses of Django."""
