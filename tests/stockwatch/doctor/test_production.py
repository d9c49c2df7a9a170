"""The doctor finds nothing wrong with the settings that docs/deploy describes."""

from tests.support.servers.doctor import PASSWORD, run_doctor

SITE = {
    "APP_ENV": "production",
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTU",
    "ALLOWED_HOSTS": "stocks.example.org,localhost,127.0.0.1",
    "CSRF_TRUSTED_ORIGINS": "https://stocks.example.org",
    "GATEWAY_ALLOWED_ORIGINS": "https://stocks.example.org",
    "GATEWAY_TRUSTED_PROXIES": "127.0.0.1,::1",
    "SITE_URL": "https://stocks.example.org",
    "DATABASE_URL": f"postgres://stockwatch:{PASSWORD}@localhost:5432/stockwatch",
    "EMAIL_URL": f"smtp+tls://stockwatch:{PASSWORD}@mail.example.org:587",
}


def test_the_documented_settings_of_a_site_have_no_fault():
    diagnosis = run_doctor("settings", **SITE)
    assert diagnosis.lines("warn") == diagnosis.lines("fail") == []
    assert "production: the deployment checks pass: " in diagnosis.lines("ok")
