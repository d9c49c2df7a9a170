"""The site: settings, programs and servers. Pure."""

VERSION = "0.1.0"
