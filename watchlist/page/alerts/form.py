"""The form that asks for the symbol, the condition and the options of a new alert."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from django import forms
from django.contrib.auth.models import User

from feeds.models import Ticker
from watchlist.alert_kinds import Channel, Kind, Repeat
from watchlist.alert_models import MAX_NOTE_LENGTH
from watchlist.alerts.account_alerts import MAX_TYPED_SYMBOL, find_served_ticker
from watchlist.alerts.channels import available_channels
from watchlist.alerts.conditions import CREATABLE, LEVEL_KINDS, PERCENT_KINDS, WINDOW_KINDS, AlertOptions, check_options
from watchlist.errors import BadAlert
from watchlist.page.alerts.words import CHANNEL_NAMES, KIND_LABELS

MAX_MINUTES = 24 * 60
"""The longest time that a condition can name, such as 15 minutes in `rises 5% within 15 min`."""

MAX_COOLDOWN_MINUTES = 30 * 24 * 60
REPEAT_LABELS = {
    Repeat.ONCE: "Once",
    Repeat.DAILY: "At most once a day",
    Repeat.EACH: "Each time, with a pause",
}
TIME_FORMAT = "%Y-%m-%dT%H:%M"
"""The format of times that browsers send."""

VALID_CONDITION: Mapping[str, Any] = MappingProxyType({"kind": Kind.UP, "value": 1.0})


class AlertForm(forms.Form):
    """Asks for a new alert. A valid form has the alert's options in `options`.

    `expires` is a time in the current time zone of Django.
    """

    symbol = forms.CharField(label="Symbol", max_length=MAX_TYPED_SYMBOL, error_messages={"required": "Name a symbol."})
    kind = forms.ChoiceField(label="Condition", initial=Kind.UP.value)
    level = forms.FloatField(label="Level", required=False)
    percent = forms.FloatField(label="Percent", required=False, help_text="A fall is negative, such as -5.")
    minutes = forms.IntegerField(
        label="Time in minutes", required=False, min_value=1, max_value=MAX_MINUTES, help_text="From 1 to 1440."
    )
    repeat = forms.ChoiceField(
        label="Fires",
        choices=[(repeat.value, label) for repeat, label in REPEAT_LABELS.items()],
        initial=Repeat.ONCE.value,
    )
    cooldown = forms.IntegerField(
        label="Pause in minutes",
        required=False,
        min_value=1,
        max_value=MAX_COOLDOWN_MINUTES,
        initial=5,
        help_text="The shortest time between two firings.",
    )
    expires = forms.DateTimeField(
        label="Expires (optional)",
        required=False,
        input_formats=[TIME_FORMAT],
        widget=forms.DateTimeInput(format=TIME_FORMAT, attrs={"type": "datetime-local"}),
    )
    note = forms.CharField(label="Note (optional)", required=False, max_length=MAX_NOTE_LENGTH)
    channels = forms.MultipleChoiceField(
        label="Told by",
        widget=forms.CheckboxSelectMultiple,
        initial=[Channel.PAGE.value],
        error_messages={"required": "Choose at least one way to be told."},
    )

    options: AlertOptions
    ticker: Ticker

    def __init__(self, user: User, now: datetime, data: Any = None, initial: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, initial={} if initial is None else dict(initial))
        self._now = now
        self.fields["kind"].choices = [(kind.value, KIND_LABELS[kind]) for kind in CREATABLE]  # type: ignore[attr-defined]
        self.offered_channels = available_channels(user)
        channels = [(channel.value, CHANNEL_NAMES[channel]) for channel in self.offered_channels]
        self.fields["channels"].choices = channels  # type: ignore[attr-defined]
        for name in ("symbol", "note"):
            self.fields[name].widget.attrs |= {"autocomplete": "off", "spellcheck": "false"}
        self.fields["symbol"].widget.attrs |= {"autocapitalize": "characters", "list": "symbols"}

    def clean_symbol(self) -> str:
        try:
            self.ticker = find_served_ticker(self.cleaned_data["symbol"])
        except BadAlert as error:
            raise forms.ValidationError(str(error)) from error
        return self.ticker.symbol

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        self._forgive_unused(values)
        options = self._read_condition(values) | self._read_repeat(values)
        for field, name in (("expires", "expires_at"), ("note", "note")):
            if field in values:
                options[name] = values[field]
                self._check(field, **{name: values[field]})
        channels = frozenset(Channel(name) for name in values.get("channels", ()))
        if not self.errors:
            self.options = AlertOptions(**options, channels=channels)
        return values

    def _forgive_unused(self, values: Mapping[str, Any]) -> None:
        """Removes the errors of fields that the chosen kind and repeat do not use. The page hides these fields."""
        kind, repeat = values.get("kind"), values.get("repeat")
        unused = {
            "level": kind is not None and kind not in LEVEL_KINDS,
            "percent": kind is not None and kind not in PERCENT_KINDS,
            "minutes": kind is not None and kind not in WINDOW_KINDS,
            "cooldown": repeat is not None and repeat != Repeat.EACH,
        }
        for field, is_unused in unused.items():
            if is_unused:
                self.errors.pop(field, None)

    def _read_condition(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the options that belong to the condition. Puts errors beside the fields that the kind uses."""
        if "kind" not in values:
            return {}
        kind = Kind(values["kind"])
        field = "level" if kind in LEVEL_KINDS else "percent" if kind in PERCENT_KINDS else ""
        options: dict[str, Any] = {"kind": kind, "value": values.get(field) if field else None}
        if kind in WINDOW_KINDS:
            if values.get("minutes") is None:
                self._require("minutes")
                return {}
            options["window_seconds"] = values["minutes"] * 60
        if field and options["value"] is None:
            self._require(field)
            return {}
        self._check(field or "kind", **options)
        return options

    def _read_repeat(self, values: Mapping[str, Any]) -> dict[str, Any]:
        repeat = Repeat(values.get("repeat", Repeat.ONCE))
        if repeat is not Repeat.EACH:
            return {"repeat": repeat}
        if values.get("cooldown") is None:
            self._require("cooldown")
            return {}
        return {"repeat": repeat, "cooldown_seconds": values["cooldown"] * 60}

    def _require(self, field: str) -> None:
        if field not in self.errors:
            self.add_error(field, "Type a number.")

    def _check(self, field: str, **options: Any) -> None:
        """Checks `options` without regard to the other options of the alert. Shows an error beside the field."""
        try:
            check_options(AlertOptions(**{**VALID_CONDITION, **options}), self._now)
        except BadAlert as error:
            self.add_error(field, str(error))
