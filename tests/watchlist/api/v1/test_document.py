import json

import pytest
from django.urls import reverse
from jsonschema import Draft202012Validator

from tests.support.source_files import ROOT
from tests.support.watchlist.pages import text_of
from watchlist.api.v1.api import api
from watchlist.api.v1.document import build_document, encode_document, iterate_operations

OPERATIONS = list(iterate_operations(build_document()))


def test_the_file_in_the_repository_is_the_document_of_the_code():
    assert (ROOT / "docs/openapi.json").read_text() == encode_document(), "run `make openapi`"


def test_the_command_writes_the_document(tmp_path):
    from django.core.management import call_command

    call_command("openapi", str(tmp_path / "openapi.json"))
    assert (tmp_path / "openapi.json").read_text() == encode_document()


def test_every_operation_is_in_the_document():
    described = {(method, path) for method, path, _ in OPERATIONS}
    assert len(described) == 24
    assert len({operation["operationId"] for _, _, operation in OPERATIONS}) == 24
    paths = {path for _, router in api._routers for path in router.path_operations}
    assert len(paths) == len(build_document()["paths"])


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_an_operation_is_described_with_its_errors(method, path, operation):
    assert operation["description"]
    assert {"401", "403", "429", "503"} <= set(operation["responses"])
    assert ("404" in operation["responses"]) == ("{" in path)
    for parameter in operation.get("parameters", []):
        assert "null" not in json.dumps(parameter["schema"])
        assert parameter["name"] in path or parameter["description"]


def test_only_lists_and_alerts_need_a_token():
    needed = {operation["tags"][0] for _, _, operation in OPERATIONS if {} not in operation["security"]}
    assert needed == {"lists", "alerts"}


def test_every_schema_is_valid_and_every_reference_leads_to_one():
    text = encode_document()
    schemas = build_document()["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    for part in text.split('"$ref": "#/components/')[1:]:
        kind, _, name = part.partition('"')[0].partition("/")
        assert name in build_document()["components"][kind]


def test_the_server_answers_with_the_document(client, db):
    response = client.get(reverse("openapi"))
    assert response.json() == build_document()
    assert client.get(reverse("openapi"), headers={"If-None-Match": response.headers["ETag"]}).status_code == 304


def test_the_page_shows_every_operation_without_scripts_or_other_hosts(client, db):
    response = client.get(reverse("api-docs"))
    page = text_of(response)
    for method, path, operation in OPERATIONS:
        assert f"<code>{method.upper()} {path}</code>" in page
        assert operation["summary"] in page
    assert "<script" not in page
    assert "style=" not in page
    assert "https://" not in page
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]


def test_language_models_find_documentation_protocol_and_api(client, db, settings):
    settings.PRIVATE = True
    response = client.get("/llms.txt")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    for text in ("# stockwatch\n", reverse("api-docs"), reverse("openapi"), "/ws", "docs/protocol.md", "docs/api.md"):
        assert text in text_of(response)
