"""Runs `runfeed` with N times as many HTTP requests per second: `… compressed.py N runfeed kraken`.

The case `day` plays a day N times as fast as real time. Its connections are cut N times as often as on a real day.
Therefore the feeder may make N times as many requests per second.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stockwatch.settings")

from django.core.management import execute_from_command_line
from msgspec.structs import replace

from feeds.sources import registry
from feeds.sources.kraken import KRAKEN

interval = KRAKEN.rest_interval / float(sys.argv[1])
registry.SOURCES = {**registry.SOURCES, "kraken": replace(KRAKEN, rest_interval=interval)}
execute_from_command_line(["manage.py", *sys.argv[2:]])
