"""Checks an installation for `manage.py doctor`: one module for each subject."""
