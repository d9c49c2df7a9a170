"""What people type: a symbol, and the wish for an account."""

from typing import Any

from django import forms
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.models import User

from feeds import wire


class SymbolForm(forms.Form):
    """One symbol, trimmed and upper-cased."""

    symbol = forms.CharField(
        max_length=100,
        error_messages={
            "required": "Type a symbol first, for example AAPL.",
            "max_length": f"That is no symbol: a symbol is {wire.SYMBOL_WORDS}.",
        },
    )

    def clean_symbol(self) -> str:
        symbol: str = self.cleaned_data["symbol"]
        if symbol.isascii():  # "ß".upper() is "SS": only ASCII is upper-cased, or a stranger becomes a symbol
            symbol = symbol.upper()
        if not wire.is_symbol(symbol):
            shown = symbol if len(symbol) <= 20 else symbol[:20] + "…"
            raise forms.ValidationError(f"“{shown}” is no symbol: a symbol is {wire.SYMBOL_WORDS}.")
        return symbol


class SignUpForm(UserCreationForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Name and password, twice."""

    class Meta:
        model = User
        fields = ("username",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].help_text = "Letters, digits and @ . + - _"
        self.fields["password2"].label = "Password again"
        self.fields["password2"].help_text = ""
