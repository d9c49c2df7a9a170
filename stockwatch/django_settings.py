"""Holds the settings of Django and its libraries that no environment variable changes. Pure.

`stockwatch.settings` reads the environment and takes these settings over.
"""

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "stockwatch",
    "watchlist",
    "feeds",
    "channels",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django_htmx",
    "import_export",
    "servestatic.runserver_nostatic",
    "django.contrib.staticfiles",
]
# TrustedSchemeMiddleware removes the header from requests that no trusted proxy sent.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
MIDDLEWARE = [
    "watchlist.middleware.TrustedSchemeMiddleware",
    # The next four middlewares add headers to all responses, also to static files.
    "django.middleware.security.SecurityMiddleware",
    "stockwatch.headers.middleware.SecurityHeadersMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "stockwatch.serving.static_files.StaticFilesMiddleware",
    "watchlist.api.middleware.ProblemMiddleware",  # outside of all middlewares that can answer with an error
    "django.contrib.sessions.middleware.SessionMiddleware",
    "watchlist.middleware.ProlongSessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "watchlist.middleware.RenewSignatureMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "watchlist.middleware.DatabaseOutageMiddleware",
    "watchlist.middleware.BusyHashesMiddleware",
    "watchlist.api.middleware.TokenMiddleware",
    "watchlist.middleware.PrivateSiteMiddleware",
]
ROOT_URLCONF = "stockwatch.urls"
ASGI_APPLICATION = "stockwatch.asgi.application"

# The second backend is for web sessions that began before the first one existed.
AUTHENTICATION_BACKENDS = [
    "watchlist.accounts.account_backend.AccountBackend",
    "django.contrib.auth.backends.ModelBackend",
]
# The first class hashes new passwords. It also replaces a hash of the second class when the account signs in.
PASSWORD_HASHERS = [
    "watchlist.accounts.password_hasher.LimitedArgon2Hasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
_VALIDATORS = ("UserAttributeSimilarity", "MinimumLength", "CommonPassword", "NumericPassword")
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}Validator"} for name in _VALIDATORS
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "watchlist"
LOGOUT_REDIRECT_URL = "watchlist"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

# The admin's list of tickers sends eleven fields for each of at most 200 rows.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5000
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_ENGINE = "watchlist.lists.web_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
# W004: HSTS is off until the operator sets HSTS_MAX_AGE, because browsers remember HSTS for this time. W005, W021: only
# the operator knows whether all subdomains have HTTPS. W008: the proxy redirects HTTP to HTTPS, and health checks use
# plain HTTP.
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W005", "security.W008", "security.W021"]
