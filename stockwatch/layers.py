"""The channel layer `prices`."""
