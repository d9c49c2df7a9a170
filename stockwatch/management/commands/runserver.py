"""`manage.py runserver`: Daphne's development server, which also serves `/ws`.

The import makes the command available without Daphne in INSTALLED_APPS.
"""

from daphne.management.commands.runserver import Command

__all__ = ["Command"]
