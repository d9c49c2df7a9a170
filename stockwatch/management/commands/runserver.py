"""`manage.py runserver` serves `/ws` too: Daphne's command, taken without making Daphne an app of every command."""

from daphne.management.commands.runserver import Command

__all__ = ["Command"]
