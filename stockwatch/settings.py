"""Defines every setting of the project; the only module that reads the environment.

Environment variables override the variables in the file `.env` of the root folder. `.env.example` and
`docs/settings.md` describe each variable.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

from feeds.source_names import REPLAY, SIMULATED, SOURCE_NAMES
from stockwatch.django_settings import *  # noqa: F403
from stockwatch.dotenv import MAX_BYTES, BadEnvironmentFile, find_unknown, parse_variables
from stockwatch.environment import STRONG_KEY_DESCRIPTION, BadVariable, Environment, is_strong_key
from stockwatch.headers.browser_settings import read_hsts, read_session_domain, read_socket_origin, read_static_url
from stockwatch.headers.policies import build_content_policy
from stockwatch.kafka_options import read_kafka_options
from stockwatch.logging import configure
from stockwatch.redis_address import describe_channels_host, read_redis_address
from stockwatch.server_urls import read_database, read_email_url, read_pool_size

BASE_DIR = Path(__file__).resolve().parent.parent

try:
    with (BASE_DIR / ".env").open("rb") as _file:
        _variables = parse_variables(_file.read(MAX_BYTES + 1), ".env")
except FileNotFoundError:
    _variables = {}
except OSError as _error:
    raise BadEnvironmentFile(".env", f" cannot be read: {_error.strerror}") from _error
for _name, _value in _variables.items():
    os.environ.setdefault(_name, _value)  # child processes also get these variables
env = Environment(os.environ)

# --- Environment ------------------------------------------------------------------------------------------------
APP_ENV = env.choice("APP_ENV", "development", ["development", "test", "prod", "production"]).replace(
    "production", "prod"
)
PRODUCTION = APP_ENV == "prod"
DEBUG = env.boolean("DEBUG")
if PRODUCTION and DEBUG:
    raise BadVariable("DEBUG", "true", "false when APP_ENV is production: its error pages show settings and code")
APP_HOST, APP_PORT = env.address("APP_PORT", ":8081")

PUBLISHED_SECRET_KEY = "development only: anyone who reads the source knows this key"  # noqa: S105
SECRET_KEY = env.text("SECRET_KEY")
if PRODUCTION and (not is_strong_key(SECRET_KEY) or SECRET_KEY == PUBLISHED_SECRET_KEY):
    raise BadVariable("SECRET_KEY", SECRET_KEY, f"{STRONG_KEY_DESCRIPTION} when APP_ENV is production")
SECRET_KEY = SECRET_KEY or PUBLISHED_SECRET_KEY
# Old keys. Web sessions and links in e-mails that an old key has signed stay valid.
SECRET_KEY_FALLBACKS = env.texts("SECRET_KEY_FALLBACKS")
if PRODUCTION and not all(map(is_strong_key, SECRET_KEY_FALLBACKS)):
    raise BadVariable("SECRET_KEY_FALLBACKS", "…", f"old keys between commas, each {STRONG_KEY_DESCRIPTION}")

ALLOWED_HOSTS = env.texts("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
if PRODUCTION and "*" in ALLOWED_HOSTS:
    raise BadVariable("ALLOWED_HOSTS", "*", "the host names of the site when APP_ENV is production")
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS", "", wildcard=False)

BUILD_COMMIT = env.text("BUILD_COMMIT")

# --- Logs -----------------------------------------------------------------------------------------------------------
LOGGER_LEVEL = env.choice("LOGGER_LEVEL", "info", ["debug", "info", "warn", "warning", "error"])
LOGGER_FORMAT = env.choice("LOGGER_FORMAT", "json", ["json", "console"])
LOGGING_CONFIG = None  # `configure` below handles the records of Django and all libraries
LOGGER_MAX_PER_SECOND = env.integer("LOGGER_MAX_PER_SECOND", 100)
LOGGER_ACCESS = env.boolean("LOGGER_ACCESS", PRODUCTION)
configure(level=LOGGER_LEVEL, form=LOGGER_FORMAT, limit=LOGGER_MAX_PER_SECOND)

# --- Redis ----------------------------------------------------------------------------------------------------------
REDIS = read_redis_address(env)
REDIS_CLUSTER = "nodes" in REDIS
REDIS_PASSWORD = REDIS["password"] or ""
_redis_layer = (
    ("watchlist.gateway.fanout.cluster_layer.ClusterChannelLayer", REDIS)
    if REDIS_CLUSTER
    else ("watchlist.gateway.fanout.channel_layer.PricesChannelLayer", {"hosts": [{**REDIS, "protocol": 2}]})
)

# --- Kafka ----------------------------------------------------------------------------------------------------------
KAFKA_BROKERS = ",".join(env.addresses("KAFKA_BROKERS", "localhost:9092"))
KAFKA_OPTIONS = read_kafka_options(env)
_TOPIC = r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}"
_TOPIC_DESCRIPTION = "1 to 249 of the characters A-Z a-z 0-9 . _ -, and not . or .."
KAFKA_TOPIC = env.matching_text("KAFKA_TOPIC", "market_ticks", _TOPIC, _TOPIC_DESCRIPTION)
KAFKA_RETENTION = env.duration("KAFKA_RETENTION", "24h", minimum="1m")
KAFKA_TOPIC_PARTITIONS = env.integer("KAFKA_TOPIC_PARTITIONS", 4, minimum=1, maximum=1000)
KAFKA_TOPIC_REPLICAS = env.integer("KAFKA_TOPIC_REPLICAS", 3, minimum=1, maximum=10)
KAFKA_DLQ_TOPIC = env.matching_text("KAFKA_DLQ_TOPIC", "market_ticks.dlq", _TOPIC, _TOPIC_DESCRIPTION)
if KAFKA_DLQ_TOPIC == KAFKA_TOPIC:
    raise BadVariable(
        "KAFKA_DLQ_TOPIC", KAFKA_DLQ_TOPIC, "another topic than KAFKA_TOPIC, or dead letters would be read as updates"
    )
KAFKA_DLQ_RETENTION = env.duration("KAFKA_DLQ_RETENTION", "168h", minimum="1m")
_GROUP = r".{1,249}"
_GROUP_DESCRIPTION = "the name of a consumer group, 1 to 249 characters"
KAFKA_GROUP_ID = env.matching_text("KAFKA_GROUP_ID", "stock-processor-group", _GROUP, _GROUP_DESCRIPTION)
KAFKA_GROUP_INSTANCE_ID = env.text("KAFKA_GROUP_INSTANCE_ID")
KAFKA_SESSION_TIMEOUT = env.duration("KAFKA_SESSION_TIMEOUT", "6s", minimum="1s", maximum="5m")

# --- Generator ------------------------------------------------------------------------------------------------------
GENERATOR_INTERVAL = env.duration("GENERATOR_INTERVAL", "100ms")
GENERATOR_SEED = env.text("GENERATOR_SEED")
GENERATOR_TICKERS = env.symbols("GENERATOR_TICKERS", "AAPL,GOOG,TSLA,AMZN")
_base_prices = env.prices("GENERATOR_BASE_PRICES_")
GENERATOR_BASE_PRICES = {"AAPL": 150.0, "GOOG": 2800.0, "TSLA": 700.0, "AMZN": 3400.0} | _base_prices
# `make run` fills an empty table with RUNSTACK_TICKERS. If the list is empty, `make run` uses the tickers of the
# demonstration. RUNSTACK_BASE_PRICES replaces base prices of the demonstration.
RUNSTACK_TICKERS = GENERATOR_TICKERS if env.is_set("GENERATOR_TICKERS") else []
RUNSTACK_BASE_PRICES = _base_prices
GENERATOR_METRICS_PORT = env.integer("GENERATOR_METRICS_PORT", 0, maximum=65535)

# --- Feeder ---------------------------------------------------------------------------------------------------------
FEEDS = env.choices("FEEDS", [name for name in SOURCE_NAMES if name not in {SIMULATED, REPLAY}])
KRAKEN_URL = env.server_url("KRAKEN_URL", "wss", "ws")
KRAKEN_REST_URL = env.server_url("KRAKEN_REST_URL", "https", "http")
COINBASE_URL = env.server_url("COINBASE_URL", "wss", "ws")
COINBASE_REST_URL = env.server_url("COINBASE_REST_URL", "https", "http")
BINANCE_URL = env.server_url("BINANCE_URL", "wss", "ws")
BINANCE_REST_URL = env.server_url("BINANCE_REST_URL", "https", "http")
ALPACA_URL = env.server_url("ALPACA_URL", "wss", "ws")
ALPACA_REST_URL = env.server_url("ALPACA_REST_URL", "https", "http")
ALPACA_FEED = env.choice("ALPACA_FEED", "iex", ["iex", "sip", "delayed_sip", "crypto", "test"])
ALPACA_KEY_ID = env.text("ALPACA_KEY_ID")
ALPACA_SECRET_KEY = env.text("ALPACA_SECRET_KEY")
FEED_METRICS_PORT = env.integer("FEED_METRICS_PORT", 0, maximum=65535)

# --- Processor ------------------------------------------------------------------------------------------------------
PROCESSOR_NUM_WORKERS = env.integer("PROCESSOR_NUM_WORKERS", 1, minimum=1, maximum=256)
PROCESSOR_STOCK_TTL = env.duration("PROCESSOR_STOCK_TTL", "168h", minimum="1s")
PROCESSOR_METRICS_PORT = env.integer("PROCESSOR_METRICS_PORT", 0, maximum=65535)

# --- Recorder -------------------------------------------------------------------------------------------------------
RECORDER_GROUP_ID = env.matching_text("RECORDER_GROUP_ID", "stock-recorder-group", _GROUP, _GROUP_DESCRIPTION)
RECORDER_RETENTION = env.duration("RECORDER_RETENTION", "720h", minimum="24h")
RECORDER_METRICS_PORT = env.integer("RECORDER_METRICS_PORT", 0, maximum=65535)
if RECORDER_GROUP_ID == KAFKA_GROUP_ID:
    raise BadVariable(
        "RECORDER_GROUP_ID", RECORDER_GROUP_ID, "another group than KAFKA_GROUP_ID, so that both read every record"
    )

# --- Alert engine ---------------------------------------------------------------------------------------------------
ALERTS_GROUP_ID = env.matching_text("ALERTS_GROUP_ID", "stock-alerts-group", _GROUP, _GROUP_DESCRIPTION)
ALERTS_METRICS_PORT = env.integer("ALERTS_METRICS_PORT", 0, maximum=65535)
ALERTS_RETENTION = env.duration("ALERTS_RETENTION", "8760h", minimum="24h")
if ALERTS_GROUP_ID in {KAFKA_GROUP_ID, RECORDER_GROUP_ID}:
    raise BadVariable("ALERTS_GROUP_ID", ALERTS_GROUP_ID, "another group than processor and recorder have")

# --- Delivery -------------------------------------------------------------------------------------------------------
DELIVERY_METRICS_PORT = env.integer("DELIVERY_METRICS_PORT", 0, maximum=65535)
DELIVERY_LEASE = env.duration("DELIVERY_LEASE", "30s", minimum="1s", maximum="1h")
WEBHOOK_ALLOWED_NETWORKS = env.networks("WEBHOOK_ALLOWED_NETWORKS")
APPRISE_SERVICES = env.choices("APPRISE_SERVICES", ["ntfys", "tgram", "discord", "slack", "pover"])
HAS_SITE_URL = env.is_set("SITE_URL")
SITE_URL = env.server_url("SITE_URL", "https", "http") or f"http://localhost:{APP_PORT}"

# --- Market -----------------------------------------------------------------------------------------------------
MARKET_DAY_START = env.time_of_day("MARKET_DAY_START", "00:00")
MARKET_TIME_ZONE = env.time_zone("MARKET_TIME_ZONE", "UTC")

# --- Gateway --------------------------------------------------------------------------------------------------------
GATEWAY_VALID_TICKERS = env.symbols("GATEWAY_VALID_TICKERS")
GATEWAY_ALLOWED_ORIGINS = env.origins("GATEWAY_ALLOWED_ORIGINS", "*")
if PRODUCTION and (not GATEWAY_ALLOWED_ORIGINS or "*" in GATEWAY_ALLOWED_ORIGINS):
    raise BadVariable(
        "GATEWAY_ALLOWED_ORIGINS",
        ",".join(GATEWAY_ALLOWED_ORIGINS),
        "the origin of the site, such as https://example.org, when APP_ENV is production",
    )
GATEWAY_TRUSTED_PROXIES = env.networks("GATEWAY_TRUSTED_PROXIES")
METRICS_ALLOWED_NETWORKS = env.networks(
    "METRICS_ALLOWED_NETWORKS",
    "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7,fe80::/10",
)
GATEWAY_PROCESSES = env.integer("GATEWAY_PROCESSES", 0, maximum=1024)
GATEWAY_RELAY = env.boolean("GATEWAY_RELAY", True)
GATEWAY_DRAIN = env.duration("GATEWAY_DRAIN", "5s", minimum="0s")
GATEWAY_MAX_DRAIN = max(GATEWAY_DRAIN, env.duration("GATEWAY_MAX_DRAIN", "60s", minimum="0s"))
GATEWAY_MAX_AGE = env.duration("GATEWAY_MAX_AGE", "0s", minimum="0s")
GATEWAY_MAX_CONNECTIONS = env.integer("GATEWAY_MAX_CONNECTIONS", 1000)
GATEWAY_MAX_PER_ADDRESS = env.integer("GATEWAY_MAX_PER_ADDRESS", 250)
GATEWAY_MAX_HTTP_PER_ADDRESS = env.integer("GATEWAY_MAX_HTTP_PER_ADDRESS", 250)
GATEWAY_MAX_SYMBOLS = env.integer("GATEWAY_MAX_SYMBOLS", 1024, minimum=1)
GATEWAY_MESSAGES_PER_SECOND = env.number("GATEWAY_MESSAGES_PER_SECOND", 5.0, minimum=0.1, maximum=1000)
GATEWAY_MESSAGES_BURST = env.integer("GATEWAY_MESSAGES_BURST", 20, minimum=1, maximum=100_000)
GATEWAY_DEFLATE = env.boolean("GATEWAY_DEFLATE", True)
GATEWAY_RATE_PER_SECOND = env.number("GATEWAY_RATE_PER_SECOND", 1.0, minimum=0.001, maximum=1e6)
GATEWAY_RATE_BURST = env.integer("GATEWAY_RATE_BURST", 5, minimum=1)
GATEWAY_TIMEOUTS_WRITE_WAIT = env.duration("GATEWAY_TIMEOUTS_WRITE_WAIT", "10s")
GATEWAY_TIMEOUTS_PONG_WAIT = env.duration("GATEWAY_TIMEOUTS_PONG_WAIT", "60s")
GATEWAY_TIMEOUTS_PING_PERIOD = env.duration("GATEWAY_TIMEOUTS_PING_PERIOD", "54s")
GATEWAY_TIMEOUTS_SEND_BUFFER_SIZE = env.integer("GATEWAY_TIMEOUTS_SEND_BUFFER_SIZE", 256, minimum=1, maximum=65536)
if GATEWAY_TIMEOUTS_PING_PERIOD >= GATEWAY_TIMEOUTS_PONG_WAIT:
    raise BadVariable(
        "GATEWAY_TIMEOUTS_PING_PERIOD",
        env.text("GATEWAY_TIMEOUTS_PING_PERIOD", "54s"),
        "shorter than GATEWAY_TIMEOUTS_PONG_WAIT, so that a client can answer in time",
    )

# --- Page -------------------------------------------------------------------------------------------------------
STALE_AFTER = env.duration("STALE_AFTER", "5s")
PRIVATE = env.boolean("PRIVATE")
DASHBOARD_API = env.boolean("DASHBOARD_API", True)
REGISTRATION_OPEN = env.boolean("REGISTRATION_OPEN", True) and not PRIVATE
REGISTRATION_PER_HOUR = env.integer("REGISTRATION_PER_HOUR", 20, minimum=1)
VISITOR_SESSIONS_PER_HOUR = env.integer("VISITOR_SESSIONS_PER_HOUR", 600, minimum=1)
ALERTS_PER_ACCOUNT = env.integer("ALERTS_PER_ACCOUNT", 200, minimum=1, maximum=10_000)
SIGN_IN_FAILURES = env.integer("SIGN_IN_FAILURES", 10, minimum=1)
SIGN_IN_WINDOW = env.duration("SIGN_IN_WINDOW", "10m", minimum="1s")
PASSWORD_HASHES = env.integer("PASSWORD_HASHES", 2, minimum=1, maximum=64)

# --- API ------------------------------------------------------------------------------------------------------------
API_REQUESTS_PER_MINUTE = env.integer("API_REQUESTS_PER_MINUTE", 600, minimum=1)

# --- E-mail -----------------------------------------------------------------------------------------------------------
_mail = read_email_url(env.text("EMAIL_URL", "dummymail://" if PRODUCTION else "consolemail://"))
EMAIL_BACKEND = _mail["EMAIL_BACKEND"]
if PRODUCTION and not EMAIL_BACKEND.endswith(("smtp.EmailBackend", "dummy.EmailBackend")):
    raise BadVariable(
        "EMAIL_URL",
        "…",
        "the mail server, or dummymail:// to send no e-mails, when APP_ENV is production:"
        " others write links that reset passwords to a log or a file",
    )
EMAIL_HOST, EMAIL_PORT = _mail["EMAIL_HOST"], _mail["EMAIL_PORT"]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_USER"], _mail["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS, EMAIL_USE_SSL = _mail["EMAIL_USE_TLS"], _mail["EMAIL_USE_SSL"]
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.text("EMAIL_FROM", "stockwatch@localhost")

# --- Django ---------------------------------------------------------------------------------------------------------
DATABASES = {"default": read_database(env, BASE_DIR)}
DATABASE_POOL_SIZE = read_pool_size(env, DATABASES["default"])
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "watchlist.page.site.describe_site",
            ]
        },
    }
]
CHANNEL_LAYERS = {
    # The groups of this layer are the Redis channels prices.SYMBOL. Only the gateway's intake uses this layer.
    "prices": {"BACKEND": _redis_layer[0], "CONFIG": _redis_layer[1]},
    # For other uses of Channels. The gateway does not use this layer.
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [describe_channels_host(REDIS)]},
    },
}

STATIC_URL = read_static_url(env)
STATIC_PATH = urlsplit(STATIC_URL).path
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
SERVESTATIC_USE_FINDERS = True  # serves files from their source folders; only a CDN needs collectstatic
SERVESTATIC_AUTOREFRESH = not PRODUCTION  # in development, the next load shows a changed file
# Browsers revalidate each file (mostly 304), so that a page never mixes modules of two versions.
SERVESTATIC_MAX_AGE = 0

SECURE_COOKIES = env.boolean("SECURE_COOKIES", PRODUCTION)
SESSION_COOKIE_SECURE = SECURE_COOKIES
CSRF_COOKIE_SECURE = SECURE_COOKIES
SESSION_COOKIE_AGE = int(env.duration("SESSION_AGE", "336h", minimum="5m", maximum="87600h").total_seconds())
SESSION_COOKIE_DOMAIN = read_session_domain(env)

_hsts = read_hsts(env)
SECURE_HSTS_SECONDS = _hsts.seconds
SECURE_HSTS_INCLUDE_SUBDOMAINS, SECURE_HSTS_PRELOAD = _hsts.include_subdomains, _hsts.preload
SOCKET_ORIGIN = read_socket_origin(env)
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": build_content_policy(STATIC_URL, SOCKET_ORIGIN, upgrade=SECURE_HSTS_SECONDS > 0)
}

# Variables in the file `.env` that are not settings. `manage.py doctor` reports them.
UNKNOWN_VARIABLES = find_unknown(_variables, env.defaults)
