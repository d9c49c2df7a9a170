"""Defines the tickers with which each source of real prices starts. Pure.

The base prices are rough. Pages compare prices with the base price only until the first close is known.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Starter(NamedTuple):
    """A ticker to create. `base_price` is in `currency`."""

    symbol: str
    name: str
    base_price: float
    decimals: int
    currency: str


COINS = (
    ("BTC", "Bitcoin", 90_000.0, 1),
    ("ETH", "Ether", 3_000.0, 2),
    ("SOL", "Solana", 140.0, 2),
    ("XRP", "XRP", 2.0, 5),
    ("ADA", "Cardano", 0.5, 5),
    ("DOGE", "Dogecoin", 0.15, 5),
    ("LTC", "Litecoin", 85.0, 2),
    ("LINK", "Chainlink", 13.0, 3),
    ("DOT", "Polkadot", 2.5, 4),
    ("AVAX", "Avalanche", 14.0, 2),
    ("BCH", "Bitcoin Cash", 500.0, 2),
    ("UNI", "Uniswap", 6.0, 3),
)
SHARES = (
    ("AAPL", "Apple", 230.0),
    ("MSFT", "Microsoft", 420.0),
    ("NVDA", "NVIDIA", 140.0),
    ("AMZN", "Amazon", 200.0),
    ("GOOGL", "Alphabet", 170.0),
    ("META", "Meta Platforms", 580.0),
    ("TSLA", "Tesla", 350.0),
    ("AVGO", "Broadcom", 170.0),
    ("JPM", "JPMorgan Chase", 240.0),
    ("BRK.B", "Berkshire Hathaway", 470.0),
    ("SPY", "SPDR S&P 500 ETF", 590.0),
    ("QQQ", "Invesco QQQ", 500.0),
)


def coins(currency: str) -> list[Starter]:
    return [Starter(f"{coin}/{currency}", name, price, decimals, currency) for coin, name, price, decimals in COINS]


def shares() -> list[Starter]:
    return [Starter(symbol, name, price, 2, "USD") for symbol, name, price in SHARES]


def starters(source: str, alpaca_feed: str) -> list[Starter]:
    """Returns the tickers with which a source starts. The list may be empty.

    `alpaca_feed` matters only for the source `alpaca`.
    """
    alpaca = {"crypto": coins("USD"), "test": [Starter("FAKEPACA", "Alpaca's test symbol", 100.0, 2, "USD")]}
    lists: Mapping[str, list[Starter]] = {
        "kraken": coins("USD"),
        "coinbase": coins("USD"),
        "binance": coins("USDT"),
        "alpaca": alpaca.get(alpaca_feed, shares()),
    }
    return lists.get(source, [])
