"""Measures ways to bring updates to several gateway processes of one machine."""
