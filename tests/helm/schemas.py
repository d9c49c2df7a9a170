"""Writes JSON schemas of Kubernetes objects for kubeconform. Pure.

The schemas refuse fields that Kubernetes does not know.
"""

from collections.abc import Iterable, Iterator
from typing import Any

Schema = dict[str, Any]

PREFIX = "#/definitions/"
NUMBER_OR_TEXT = {"oneOf": [{"type": "string"}, {"type": "number"}]}
EITHER_FORM = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": NUMBER_OR_TEXT,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": NUMBER_OR_TEXT,
}
"""Types that the description of the API calls strings, and that may be numbers too."""


def file_name(kind: str, version: str) -> str:
    """Returns the name under which kubeconform looks for the schema of a kind."""
    return f"{kind.lower()}_{version}.json"


def convert_swagger(swagger: Schema) -> Iterator[tuple[str, Schema]]:
    """Yields file name and schema of each kind in `swagger.json` of Kubernetes."""
    closed = {name: EITHER_FORM.get(name) or close(schema) for name, schema in swagger["definitions"].items()}
    for name, schema in swagger["definitions"].items():
        for kind in schema.get("x-kubernetes-group-version-kind", []):
            if kind["kind"] != "DeleteOptions":
                used = {used: closed[used] for used in find_used(name, closed)}
                yield file_name(kind["kind"], kind["version"]), {"$ref": PREFIX + name, "definitions": used}


def convert_definition(definition: Schema) -> Iterator[tuple[str, Schema]]:
    """Yields file name and schema of each version of a CustomResourceDefinition."""
    for version in definition["spec"]["versions"]:
        schema = close(version["schema"]["openAPIV3Schema"])
        yield file_name(definition["spec"]["names"]["kind"], version["name"]), schema


def close(schema: Any) -> Any:
    """Returns the schema, whose objects have no other fields than the named ones."""
    if isinstance(schema, list):
        return [close(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return NUMBER_OR_TEXT
    closed = {key: close(value) for key, value in schema.items()}
    properties = schema.get("properties")
    # "properties" may also be the name of a field. Then its value is a schema, whose "type" is a text.
    is_object = isinstance(properties, dict) and not isinstance(properties.get("type"), str)
    if is_object and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    return closed


def find_used(name: str, definitions: Schema) -> set[str]:
    """Returns the names of a definition and of all that it refers to."""
    used, waiting = set(), [name]
    while waiting:
        current = waiting.pop()
        if current not in used:
            used.add(current)
            waiting.extend(find_references(definitions[current]))
    return used


def find_references(schema: Any) -> Iterable[str]:
    if isinstance(schema, list):
        for each in schema:
            yield from find_references(each)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref":
                yield value.removeprefix(PREFIX)
            else:
                yield from find_references(value)
