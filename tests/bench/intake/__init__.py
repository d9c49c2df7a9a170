"""Compares ways to send updates to several gateway processes of one machine."""
