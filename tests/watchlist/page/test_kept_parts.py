"""The template tags `kept` and `fresh`. What one person sees is never shown to another person."""

import re

import pytest
from django.contrib.auth.models import User
from django.template import Context, Engine, TemplateSyntaxError
from django.test import Client
from django.urls import reverse, set_script_prefix
from django.utils.safestring import mark_safe

from tests.support.watchlist.pages import text_of
from watchlist.templatetags import kept

ENGINE = Engine(libraries={"kept": "watchlist.templatetags.kept", "static": "django.templatetags.static"})


def compile_template(text: str):
    return ENGINE.from_string("{% load kept %}" + text)


def test_a_kept_part_is_rendered_once_for_each_combination_of_values():
    calls = []

    class Colour(str):
        def __html__(self) -> str:
            calls.append(str(self))
            return str(self)

    template = compile_template("{% kept colour=colour size=size %}{{ colour }} {{ size }}{% endkept %}")
    colours = {name: Colour(name) for name in ("red", "blue")}
    pairs = [("red", 1), ("red", 1), ("red", 2), ("blue", 1), ("red", 1), ("blue", 1)]
    texts = [template.render(Context({"colour": colours[name], "size": size})) for name, size in pairs]
    assert texts == [f"{name} {size}" for name, size in pairs]
    assert calls == ["red", "red", "blue"]


def test_a_kept_part_sees_no_variable_that_its_tag_does_not_name():
    template = compile_template(
        "{% kept theme=look.theme %}{{ theme }}[{{ look }}{{ name }}{{ csrf_token }}]{% endkept %}"
    )
    context = Context({"look": {"theme": "dark"}, "name": "ada", "csrf_token": "secret"})
    assert template.render(context) == "dark[]"


def test_a_fresh_part_is_rendered_for_each_page_with_all_its_variables():
    template = compile_template(
        "{% kept a=a %}<{{ a }}{% if a %}{% fresh %}{{ name }}{{ a }}{% endfresh %}{% endif %}>{% endkept %}"
    )
    assert template.render(Context({"a": 1, "name": "<ada>"})) == "<1&lt;ada&gt;1>"
    assert template.render(Context({"a": 1, "name": "bob"})) == "<1bob1>"
    assert template.render(Context({"a": 0, "name": "bob"})) == "<0>"


def test_a_fresh_part_outside_of_a_kept_part_changes_nothing():
    assert compile_template("{% fresh %}{{ name }}{% endfresh %}").render(Context({"name": "ada"})) == "ada"


def test_kept_parts_can_contain_kept_parts():
    template = compile_template(
        "{% kept a=a %}{{ a }}{% kept b=a %}{{ b }}{% fresh %}{{ c }}{% endfresh %}{% endkept %}{% endkept %}"
    )
    for a, c in ((1, "x"), (1, "y"), (2, "z")):
        assert template.render(Context({"a": a, "c": c})) == f"{a}{a}{c}"


def test_equal_values_of_different_types_are_different_values():
    template = compile_template("{% kept a=a %}{{ a }}{% endkept %}")
    values = [mark_safe("<i>"), "<i>", True, 1, 1.0]
    assert [template.render(Context({"a": value})) for value in values] == ["<i>", "&lt;i&gt;", "True", "1", "1.0"]


def test_a_missing_variable_is_empty():
    template = compile_template("{% kept a=user.name %}[{% if a %}{{ a }}{% endif %}]{% endkept %}")
    assert [template.render(Context(values)) for values in ({}, {"user": {"name": "ada"}}, {})] == ["[]", "[ada]", "[]"]


def test_a_part_keeps_only_a_limited_number_of_texts():
    template = compile_template("{% kept a=a %}{{ a }}{% endkept %}")
    [node] = template.nodelist.get_nodes_by_type(kept.KeptNode)
    for number in range(kept.KEPT_TEXTS * 3):
        assert template.render(Context({"a": number})) == str(number)
        assert len(node._kept) <= kept.KEPT_TEXTS


def test_the_prefix_of_addresses_is_that_of_the_request():
    template = compile_template('{% kept %}{% url "settings" %}{% endkept %}')
    try:
        for prefix in ("/one/", "/two/", "/"):
            set_script_prefix(prefix)
            assert template.render(Context()) == f"{prefix}settings/"
    finally:
        set_script_prefix("/")


@pytest.mark.parametrize(
    "text",
    [
        "{% kept %}{% block a %}{% endblock %}{% endkept %}",
        "{% kept a %}{% endkept %}",
        "{% kept a=b c %}{% endkept %}",
    ],
)
def test_a_part_that_cannot_be_kept_is_refused(text: str):
    with pytest.raises(TemplateSyntaxError, match="kept part"):
        compile_template(text)


def sign_up(name: str, **fields) -> Client:
    client = Client()
    client.force_login(User.objects.create_user(name, **fields))
    return client


def test_nothing_of_a_person_is_on_the_page_of_another(tickers, store):
    people = {"anna": sign_up("anna"), "berta": sign_up("berta", is_staff=True), "clara": sign_up("clara")}
    for name, client in people.items():
        client.post(reverse("change-tabs"), {"do": "rename", "name": f"List of {name}"})
    for _ in range(2):
        for name, client in people.items():
            html = text_of(client.get(f"/?sort=percent&{name}"))
            assert set(re.findall(r"\b(anna|berta|clara|visitor)\b", html)) == {name}
            assert (reverse("admin:index") in html) == (name == "berta")
        html = text_of(Client().get("/?visitor"))
        assert not re.search(r"\b(anna|berta|clara)\b", html)
        assert reverse("sign-in") in html


def test_each_page_has_one_token_of_its_own_that_is_valid(tickers, store):
    client = Client(enforce_csrf_checks=True)
    pages = [text_of(client.get("/")) for _ in range(3)]
    tokens = [set(re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)) for page in pages]
    assert [len(found) for found in tokens] == [1, 1, 1]
    assert len(set.union(*tokens)) == 3
    for [token] in tokens:
        form = {"theme": "dark", "next": "/", "csrfmiddlewaretoken": token}
        assert client.post(reverse("change-look"), form).status_code == 302
    assert client.post(reverse("change-look"), {"theme": "dark", "next": "/"}).status_code == 403


def test_appearance_and_sign_in_are_shown_at_once(tickers, store, person, settings):
    client = Client()
    assert 'value="system" aria-pressed="true"' in text_of(client.get("/"))
    client.post(reverse("change-look"), {"theme": "dark", "palette": "blue", "next": "/"})
    assert re.findall(r'value="(\w+)" aria-pressed="true"', text_of(client.get("/"))) == ["dark", "blue"]
    settings.REGISTRATION_OPEN = False
    assert reverse("sign-up") not in text_of(client.get("/"))
    settings.REGISTRATION_OPEN = True
    assert reverse("sign-up") in text_of(client.get("/"))
    client.force_login(person)
    html = text_of(client.get("/"))
    assert 'title="Signed in as ada"' in html
    assert reverse("sign-in") not in html
    client.post(reverse("sign-out"))
    assert "ada" not in text_of(client.get("/"))


def test_lists_and_columns_are_shown_at_once(tickers, store, person):
    client = Client()
    client.force_login(person)
    assert "Move left" not in text_of(client.get("/"))
    client.post(reverse("change-tabs"), {"do": "open", "name": "Second"})
    html = text_of(client.get("/"))
    assert "Move left" in html
    assert "Default columns" not in html
    client.post(reverse("change-columns"), {"hide": "percent"})
    assert "Default columns" in text_of(client.get("/"))
    assert 'id="columns-menu" open' in text_of(client.get("/?columns=open"))
    assert 'id="columns-menu" open' not in text_of(client.get("/"))


def test_the_address_of_the_site_is_that_of_the_request(tickers, store, settings):
    settings.ALLOWED_HOSTS = ["one.example", "two.example"]
    for host in ("one.example", "two.example", "one.example"):
        assert f'property="og:url" content="http://{host}/"' in text_of(Client().get("/", HTTP_HOST=host))
