"""Defines the database models: tickers, tapes, and the bars of tapes. Translates the errors of the database.

A tape is a pair: a symbol and the source of its saved bars. The admin edits tickers. The recorder writes tapes and
bars. The feeder and `manage.py backfill` write fetched bars.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import Error, connection, models
from django.db.models import OuterRef, Subquery, Value
from django.db.models.functions import Coalesce

from feeds.errors import TransientError
from feeds.source_names import (
    MAX_NATIVE_LENGTH,
    MAX_SOURCE_LENGTH,
    NATIVE_RULE,
    SIMULATED,
    SOURCE_NAMES,
    is_native_symbol,
)
from feeds.symbols import MAX_SYMBOL_LENGTH, SYMBOL_RULE, is_symbol, upper_case

MAX_PRICE = 1e12
MAX_VOLATILITY = 1000
MAX_DECIMALS = 8
MAX_CURRENCY_LENGTH = 5


def validate_symbol(value: str) -> None:
    """Raises ValidationError if the text is not a symbol."""
    if not is_symbol(value):
        raise ValidationError(f"A symbol is {SYMBOL_RULE}.")


def validate_native(value: str) -> None:
    """Raises ValidationError if the text cannot be a symbol of any source."""
    if not is_native_symbol(value):
        raise ValidationError(f"A native symbol is {NATIVE_RULE}.")


def validate_price(value: float) -> None:
    """Raises ValidationError for a price that is zero, negative, too large or not a number."""
    if not 0 < value < MAX_PRICE:
        raise ValidationError("A base price is above 0 and below 1,000,000,000,000.")


def source_choices() -> list[tuple[str, str]]:
    """Returns the names of all sources with their labels."""
    # Migrations refer to this function, so that a new source needs no migration.
    return [(name, name.capitalize()) for name in SOURCE_NAMES]


class Ticker(models.Model):
    """An instrument: its name and source, and how its price is shown and simulated.

    `source` is one of SOURCE_NAMES. `native` is the native symbol: the source's name of the instrument. If `native` is
    empty, the source derives the native symbol from `symbol`. `currency` is empty if the currency is unknown or the
    price has no currency, such as the price of an index.
    """

    symbol = models.CharField(max_length=MAX_SYMBOL_LENGTH, unique=True, validators=[validate_symbol])
    name = models.CharField(max_length=80, blank=True)
    base_price = models.FloatField(
        validators=[validate_price],
        help_text="In the instrument's currency. A simulated price reverts to it, half the way in 30 minutes. "
        "Until the first close, changes are relative to it.",
    )
    volatility = models.FloatField(
        default=1.0,
        validators=[MinValueValidator(0), MaxValueValidator(MAX_VOLATILITY)],
        help_text="In basis points per 100 ms; 1 keeps most prices within 5% of their base over a day.",
    )
    decimals = models.PositiveSmallIntegerField(
        default=2,
        validators=[MaxValueValidator(MAX_DECIMALS)],
        help_text="Digits after the point, in prices everywhere.",
    )
    active = models.BooleanField(default=True, help_text="A ticker in use is switched off, not deleted.")
    source = models.CharField(
        max_length=MAX_SOURCE_LENGTH,
        default=SIMULATED,
        choices=source_choices,
        help_text="Where the price comes from.",
    )
    native = models.CharField(
        "native symbol",
        max_length=MAX_NATIVE_LENGTH,
        blank=True,
        validators=[validate_native],
        help_text="The symbol at the source. If empty, the source derives it from the symbol.",
    )
    currency = models.CharField(
        max_length=MAX_CURRENCY_LENGTH,
        blank=True,
        validators=[RegexValidator(r"\A[A-Z]{3,5}\Z", "A currency is 3 to 5 letters, such as USD or USDT.")],
        help_text="Such as USD or USDT. It may be empty.",
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        verbose_name = "ticker"

    def __str__(self) -> str:
        return self.symbol

    def clean_fields(self, exclude: Any = None) -> None:
        self.symbol = upper_case(self.symbol)
        self.currency = upper_case(self.currency)
        self.source = self.source.strip().lower()
        self.native = self.native.strip()
        super().clean_fields(exclude=exclude)

    def clean(self) -> None:
        if self.base_price is not None and self.decimals is not None and self.base_price < 10**-self.decimals:
            raise ValidationError(
                {"base_price": f"Below one unit of the {self.decimals} decimals: it would show as zero."}
            )


class ClusteredKey(models.BigIntegerField):  # type: ignore[type-arg]  # generic in the stubs only
    """A primary key. SQLite stores the rows in the order of this key."""

    def db_type(self, connection: Any) -> str | None:
        # SQLite uses this order only for keys of the type INTEGER.
        return "integer" if connection.vendor == "sqlite" else super().db_type(connection)


MINUTE_BITS = 32
"""How many lower bits of a minute bar's key hold the minute. The upper bits hold the id of the tape."""


class TapeQuerySet(models.QuerySet["Tape"]):
    def of_current_sources(self) -> "TapeQuerySet":
        """Returns only the tapes whose source is the current source of their ticker.

        A symbol without a ticker counts as simulated.
        """
        source = Ticker.objects.filter(symbol=OuterRef("symbol")).values("source")[:1]
        return self.filter(source=Coalesce(Subquery(source), Value(SIMULATED)))


class Tape(models.Model):
    """A symbol and the source of its saved bars. The symbol may have no ticker.

    `previous_close` is the last price before the newest market day. `has_past` says whether the bars before the first
    recorded update are complete. `past_version` grows when fetched or simulated bars of the tape change.
    `days_fetched_to` is the end of the day bars that were fetched from the source, in unix microseconds.
    `minutes_fetched_to` is the end of the fetched minute bars. Null means: no close is known, or no bars were fetched.
    """

    symbol = models.CharField(max_length=MAX_SYMBOL_LENGTH)
    source = models.CharField(max_length=MAX_SOURCE_LENGTH, default=SIMULATED)
    previous_close = models.FloatField(null=True)
    has_past = models.BooleanField(default=False)
    past_version = models.IntegerField(default=0)
    days_fetched_to = models.BigIntegerField(null=True)
    minutes_fetched_to = models.BigIntegerField(null=True)

    objects = TapeQuerySet.as_manager()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["symbol", "source"], name="one_tape_a_source"),
        ]

    def __str__(self) -> str:
        return self.symbol


class MissedSpan(models.Model):
    """A span of time in which trades of a tape were lost.

    `first` and `last` are in unix microseconds, both included. The spans of a tape do not overlap.
    """

    tape = models.ForeignKey(Tape, models.CASCADE, related_name="missed_spans")
    first = models.BigIntegerField()
    last = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.tape} {self.first}-{self.last}"


class Origin(models.IntegerChoices):
    """Where a bar comes from.

    RECORDED bars are computed from updates. FETCHED bars come from the source. SIMULATED_PAST bars are invented for the
    time before the first update of a simulated ticker.
    """

    RECORDED = 0
    FETCHED = 1
    SIMULATED_PAST = 2


class BarColumns(models.Model):
    """The columns that minute bars and day bars share.

    `count` is the number of updates. In a fetched bar, `count` is the number of trades; 0 if the source does not count
    trades. `first_seq` and `last_seq` are the seq_ids of the first and the last update; 0 if the bar was not recorded.
    `runs` holds the ranges of seq_ids that `count` includes, as MessagePack; null stands for the single range from
    `first_seq` to `last_seq`. `volume` is in VOLUME_UNITs of `feeds.bar_layout`. `origin` is a value of Origin.
    """

    open = models.FloatField()
    high = models.FloatField()
    low = models.FloatField()
    close = models.FloatField()
    count = models.IntegerField()
    first_seq = models.BigIntegerField()
    last_seq = models.BigIntegerField()
    runs = models.BinaryField(null=True)
    volume = models.BigIntegerField(default=0, db_default=0)
    origin = models.SmallIntegerField(default=Origin.RECORDED, db_default=Origin.RECORDED)

    class Meta:
        abstract = True


class MinuteBar(BarColumns):
    """A bar of one minute and one tape, kept for RECORDER_RETENTION.

    The method `key` computes the primary key. `first_us` and `last_us` are the times of the first and the last update,
    in microseconds from the start of the minute.
    """

    # The minutes of a tape are adjacent, and queries need only the index of the primary key.
    id = ClusteredKey(primary_key=True)
    first_us = models.IntegerField()
    last_us = models.IntegerField()

    def __str__(self) -> str:
        return f"tape {self.tape}, minute {self.minute}"

    @staticmethod
    def key(tape: int, minute: int) -> int:
        """Returns the primary key of a bar. `tape` is the tape's id; `minute` is counted from 1970."""
        return tape << MINUTE_BITS | minute

    @property
    def tape(self) -> int:
        return int(self.id) >> MINUTE_BITS

    @property
    def minute(self) -> int:
        return int(self.id) & ((1 << MINUTE_BITS) - 1)


class DayBar(BarColumns):
    """A bar of one market day and one tape, kept forever.

    `day` is the date on which the market day begins. `first_at` and `last_at` are the times of the first and the last
    update, in unix microseconds.
    """

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


DISK_FULL = ("database or disk is full", "No space left on device")
"""The words of SQLite and of PostgreSQL for a full disk."""


@contextmanager
def translate_database_errors(unavailable: type[TransientError], subject: str) -> Iterator[None]:
    """Turns the errors of the database into `unavailable`.

    The message begins with `subject`, the things that cannot be read or written, such as `bars`.
    """
    try:
        yield
    except Error as error:
        # Django replaces a broken connection only at the end of a request. Without this call no later query would
        # succeed.
        if not connection.in_atomic_block:
            connection.close()
        reason = str(error).splitlines()[0]
        is_full = any(words in reason for words in DISK_FULL)
        advice = "free space on the disk of the database" if is_full else "has `manage.py migrate` been run?"
        raise unavailable(f"{subject} cannot be read or written ({reason}); {advice}") from error
