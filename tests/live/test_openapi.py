"""The document is valid OpenAPI 3.1, and says of every route what it takes, gives and refuses."""

from __future__ import annotations

import json

import jsonschema
from openapi_spec_validator import OpenAPIV31SpecValidator

from chatsim.live.openapi import document
from chatsim.live.routes import OPERATIONS
from tests.live.running import on_loop, running


def test_the_document_is_valid_and_plain_json() -> None:
    made = document()
    OpenAPIV31SpecValidator(made).validate()
    assert json.loads(json.dumps(made)) == made


def test_every_route_is_in_it_with_its_refusals() -> None:
    paths = document()["paths"]
    assert sum(len(methods) for methods in paths.values()) == len(OPERATIONS)
    for operation in OPERATIONS:
        path = operation.path.replace(":path", "")
        said = paths[path][operation.method.lower()]
        statuses = {str(operation.status), *map(str, operation.errors)}
        assert set(said["responses"]) == statuses | ({"401"} if operation.auth != "nobody" else set())
        assert ("requestBody" in said) == (operation.body is not None)
        named = [parameter["name"] for parameter in said.get("parameters", ()) if parameter["in"] == "path"]
        assert all("{" + name + "}" in path for name in named)
        assert len(named) == path.count("{")


def test_the_shapes_are_those_of_the_wire() -> None:
    shapes = document()["components"]["schemas"]
    assert sorted(shapes["Refused"]["properties"]) == ["error", "message"]
    assert "from" in shapes["PastMessage"]["properties"]
    jsonschema.validate({"participants": ["ann"], "ttl_s": 60}, shapes["SessionOrder"])
    assert shapes["SessionOrder"]["properties"]["participants"]["items"]["maxLength"] == 128


def test_the_server_serves_it() -> None:
    async def work() -> None:
        async with running() as server:
            answer = await server.request("GET", "/openapi.json")
            assert (answer.status_code, answer.json()) == (200, document())

    on_loop(work)
