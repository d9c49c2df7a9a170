"""Defines forms for tickers that never overwrite another person's changes."""

from typing import Any

from django import forms
from django.utils.text import capfirst

from feeds.models import Ticker
from feeds.tickers.natives import describe_namesake, native_of


class ConcurrentTickerForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """A form that does not overwrite what another person has changed since the page was loaded.

    Hidden fields hold the values that the page showed. The form compares these values with the values in the database.
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
        """Compares one field with the database.

        If only another person has changed the field, keeps the value in the database. If the user and another person
        have entered different values, adds an error to the form.
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

    def _post_clean(self) -> None:
        """Refuses a native symbol that another active ticker of the same source has."""
        super()._post_clean()  # type: ignore[misc]  # the stubs lack this method
        if not self.errors and (reason := describe_namesake(self.instance)):
            self.add_error("native" if "native" in self.fields else "active", reason)


class TickerFormSet(forms.BaseModelFormSet):  # type: ignore[type-arg]  # generic in the stubs only
    """The forms of all tickers on one page of the admin's list. The forms are saved together."""

    def clean(self) -> None:
        """Refuses to switch on two tickers that have the same native symbol at one source."""
        super().clean()
        switched_on: dict[tuple[str, str], str] = {}
        for form in self.forms:
            ticker = form.instance
            if not form.errors and ticker.active and "active" in form.changed_data:
                native = native_of(ticker.source, ticker.symbol, ticker.native)
                other = switched_on.setdefault((ticker.source, native), ticker.symbol)
                if native and other != ticker.symbol:
                    form.add_error("active", f"{other} has the same native symbol: switch on only one of the two.")
