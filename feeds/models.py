"""The tickers: what is fed and shown. The admin is their source of truth; generator and gateway follow it."""

from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from feeds import wire


def validate_symbol(value: str) -> None:
    """Raises ValidationError for what is not a symbol."""
    if not wire.is_symbol(value):
        raise ValidationError(f"A symbol is {wire.SYMBOL_WORDS}.")


def validate_price(value: float) -> None:
    """Raises ValidationError for a price that no walk can start from: zero, negative, infinite or not a number."""
    if not 0 < value < 1e12:
        raise ValidationError("A base price is above 0 and below 1,000,000,000,000.")


class Ticker(models.Model):
    """One instrument: its name, how its price is written, and what the generator makes of it."""

    symbol = models.CharField(max_length=15, unique=True, validators=[validate_symbol])
    name = models.CharField(max_length=80, blank=True)
    base_price = models.FloatField(
        validators=[validate_price],
        help_text="In the instrument's currency. The price reverts to it, half the way in 30 minutes.",
    )
    volatility = models.FloatField(
        default=1.0,
        validators=[MinValueValidator(0), MaxValueValidator(1000)],
        help_text="In basis points per 100 ms; 1 keeps most prices within 5% of their base over a day.",
    )
    decimals = models.PositiveSmallIntegerField(
        default=2, validators=[MaxValueValidator(8)], help_text="Digits after the point, in prices everywhere."
    )
    active = models.BooleanField(default=True, help_text="A ticker in use is switched off, not deleted.")

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        verbose_name = "ticker"

    def __str__(self) -> str:
        return self.symbol

    def clean_fields(self, exclude: Any = None) -> None:
        self.symbol = self.symbol.strip().upper()
        super().clean_fields(exclude=exclude)

    def clean(self) -> None:
        if self.base_price is not None and self.decimals is not None and self.base_price < 10**-self.decimals:
            raise ValidationError(
                {"base_price": f"Below one unit of the {self.decimals} decimals: it would show as zero."}
            )
