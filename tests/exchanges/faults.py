"""The names of the faults that fake exchanges can play."""

BURST_TRADES = 500
CLOCK_AHEAD_US = 5_000_000
LATE_US = 3_000_000
MAX_SMALL_MESSAGE_BYTES = 4 * 1024
SEQUENCE_JUMP = -500_000

FAULTS = {
    "mute": "1: the connection stays open and pings are answered, but nothing else is sent",
    "quiet_symbol": "2: the random market makes no trades of the first symbol",
    "lost_acknowledgement": "3: on each connection the first subscription of the first symbol gets no answer",
    "refuse_connects": "4: connections are refused with HTTP 503",
    "silent_symbol": "5: trades of the first symbol are not sent, those of other symbols are",
    "busy": "6: many trades while the server sends pings and cuts clients that do not answer them in time",
    "outage": "7: all connections are cut and none is accepted, while trades go on",
    "repeats": "8: after each subscription the newest trades are sent again as live ones",
    "burst": "9: each trade is followed by many more of its symbol",
    "planned_cut": "10: the server says that it will end, if the protocol can, and closes with code 1001",
    "close_1000": "11: the server closes with code 1000",
    "connection_limit": "12: connections are refused because there are too many",
    "every_message_three_times": "13: each message with trades or prices is sent three times",
    "mute_daily": "14: the same as mute",
    "sequence_goes_back": "15: the sequences of trades jump back by half a million",
    "channel_ids": "16: a new connection gets trades that it did not subscribe to, at wrong prices",
    "snapshot_of_past_trades": "17: past trades are sent at each subscription, asked for or not",
    "clock_ahead": "18: times of trades are 5 s ahead",
    "message_too_big": "19: a message of a client above 4 KiB closes the connection with code 1009",
    "country_refused": "20: all requests are refused with HTTP 451",
    "late_trades": "each fifth trade has a time 3 s in the past",
    "requests_fail": "requests over HTTP get status 500",
}
"""A dict from fault to description. A number is the place of the fault in the table of documented faults."""

FAULT_NAMES = tuple(FAULTS)
