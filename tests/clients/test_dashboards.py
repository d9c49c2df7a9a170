"""The configurations of dashboards, rendered by their template engines with the answers of a gateway."""

import json
import re
import subprocess
from urllib.parse import urlsplit

import pytest
import yaml

from tests.support.clients import BUILD_TIMEOUT_SECONDS, find_program
from tests.support.gateway.process import ROOT

pytestmark = pytest.mark.clients

EXAMPLES = ROOT / "examples" / "dashboards"


def fetch(gateway, url):
    """Returns the text of the answer to the request of an example."""
    address = urlsplit(url)
    status, text = gateway.get(f"{address.path}?{address.query}")
    assert status == 200, text
    return text


def words_of(html):
    """Returns the visible words of a page."""
    return re.sub(r"<[^>]*>", " ", html).split()


def test_glance_shows_symbol_name_change_price_and_currency(gateway):
    gateway.publish("AAPL", 110.0)
    gateway.publish("BTC/USD", 95.5)
    program = ["run", str(ROOT / "tests" / "clients" / "dashboards" / "main.go")]
    go = find_program("go", "install Go 1.23 or newer")
    page = yaml.safe_load((EXAMPLES / "glance.yml").read_text())["pages"][0]
    shown = []
    for widget in page["columns"][0]["widgets"]:
        ended = subprocess.run(
            [go, *program, widget["template"]],
            input=fetch(gateway, widget["url"]),
            capture_output=True,
            text=True,
            timeout=BUILD_TIMEOUT_SECONDS,
        )
        assert ended.returncode == 0, ended.stderr
        shown.append(words_of(ended.stdout))
    assert shown == [["AAPL", "AAPL", "&#43;10.00%", "110.00"], ["BTC/USD", "BTC/USD", "-4.50%", "95.50"]]


def test_home_assistant_shows_price_and_change(gateway):
    import jinja2

    gateway.publish("AAPL", 110.0)
    (request,) = yaml.safe_load((EXAMPLES / "home_assistant.yaml").read_text())["rest"]
    answer = json.loads(fetch(gateway, request["resource"]))
    templates = [jinja2.Template(sensor["value_template"]) for sensor in request["sensor"]]
    assert [template.render(value_json=answer).strip() for template in templates] == ["110.0", "10.0"]
