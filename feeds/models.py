"""The tickers, and what is on record of their prices.

Tickers are what is fed and shown: the admin is their source of truth, generator and gateway follow it. Tapes and bars
are written by the recorder alone.
"""

from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from feeds.symbols import SYMBOL_WORDS, is_symbol, upper_case


def validate_symbol(value: str) -> None:
    """Raises ValidationError for what is not a symbol."""
    if not is_symbol(value):
        raise ValidationError(f"A symbol is {SYMBOL_WORDS}.")


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
        self.symbol = upper_case(self.symbol)
        super().clean_fields(exclude=exclude)

    def clean(self) -> None:
        if self.base_price is not None and self.decimals is not None and self.base_price < 10**-self.decimals:
            raise ValidationError(
                {"base_price": f"Below one unit of the {self.decimals} decimals: it would show as zero."}
            )


class ClusteredKey(models.BigIntegerField):  # type: ignore[type-arg]  # generic in the stubs only
    """A primary key that SQLite keeps its rows in the order of, which it does for the type INTEGER only."""

    def db_type(self, connection: Any) -> str | None:
        return "integer" if connection.vendor == "sqlite" else super().db_type(connection)


MINUTE_BITS = 32
"""A bar of a minute has the number of its tape above so many bits, and its minute since 1970 below."""


class Tape(models.Model):
    """One recorded symbol, whether or not there is a ticker of it. `previous_close` belongs to the newest day's bar."""

    symbol = models.CharField(max_length=15, unique=True)
    previous_close = models.FloatField(null=True)

    def __str__(self) -> str:
        return self.symbol


class Figures(models.Model):
    """The columns of every bar. `runs` is packed; it tells what was counted if the other columns do not."""

    open = models.FloatField()
    high = models.FloatField()
    low = models.FloatField()
    close = models.FloatField()
    count = models.IntegerField()
    first_seq = models.BigIntegerField()
    last_seq = models.BigIntegerField()
    runs = models.BinaryField(null=True)

    class Meta:
        abstract = True


class MinuteBar(Figures):
    """One minute of one tape, kept for RECORDER_RETENTION.

    The key is both, tape above minute: so that all minutes of a tape lie side by side and one index serves every
    question. `first_us` and `last_us` are microseconds within the minute.
    """

    id = ClusteredKey(primary_key=True)
    first_us = models.IntegerField()
    last_us = models.IntegerField()

    def __str__(self) -> str:
        return f"tape {self.tape}, minute {self.minute}"

    @staticmethod
    def key(tape: int, minute: int) -> int:
        """`minute` counts since 1970."""
        return tape << MINUTE_BITS | minute

    @property
    def tape(self) -> int:
        return int(self.id) >> MINUTE_BITS

    @property
    def minute(self) -> int:
        return int(self.id) & ((1 << MINUTE_BITS) - 1)


class DayBar(Figures):
    """One day of one tape, kept for ever. A day has the date on which it begins by MARKET_DAY_START."""

    tape = models.ForeignKey(Tape, models.PROTECT, related_name="days", db_index=False)
    day = models.DateField()
    first_at = models.BigIntegerField(help_text="Unix microseconds.")
    last_at = models.BigIntegerField(help_text="Unix microseconds.")

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tape", "day"], name="one_bar_a_day"),
        ]

    def __str__(self) -> str:
        return f"{self.tape} {self.day}"
