#!/usr/bin/env python
"""Runs the management commands; `python manage.py help` lists them."""

import os
import sys

from stockwatch.command_line import run

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stockwatch.settings")
    run(sys.argv)
