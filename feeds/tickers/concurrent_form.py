"""Defines a form for tickers that never overwrites another person's changes."""

from typing import Any

from django import forms
from django.utils.text import capfirst

from feeds.models import Ticker


class ConcurrentTickerForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Compares the values in the database with the values that the page showed.

    Hidden fields of the page contain the values that the page showed.
    """

    class Meta:
        model = Ticker
        fields = "__all__"  # noqa: DJ007 - the admin chooses the fields

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            for name, field in self.fields.items():
                field.show_hidden_initial = not self.is_bound or self.add_initial_prefix(name) in self.data

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for name, field in self.fields.items():
            if field.show_hidden_initial and name in cleaned:
                self._compare(name, field, cleaned)
        return cleaned

    def _compare(self, name: str, field: forms.Field, cleaned: dict[str, Any]) -> None:
        """Keeps the stored value if this person has not changed the field.

        Refuses this person's value if another person has also changed the field.
        """
        stored = self.initial[name]
        shown = field.to_python(self.data.get(self.add_initial_prefix(name)))
        if shown == stored or cleaned[name] == stored:
            return
        if cleaned[name] == shown:
            cleaned[name] = stored
            return
        label = capfirst(field.label or name)
        message = f"{label} was changed from {shown} to {stored} by another person. Reload the page to change it again."
        self.add_error(name, message)
