"""The OpenAPI document of the HTTP routes, made of their table and of the shapes of what goes in and out.

Rule: nothing is said here that the table does not say; the WebSocket is described elsewhere.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from chatsim.live.routes import OPERATIONS, Operation, Refused

PROTOCOL_VERSION = "1"

_SCHEMES: dict[str, list[dict[str, list[str]]]] = {
    "nobody": [],
    "user": [{"user": []}],
    "admin": [{"admin": []}],
    "either": [{"user": []}, {"admin": []}],
}
_AUTH_ERRORS = {401: ("token_missing", "token_invalid", "token_expired", "token_revoked")}
_NAME = {"type": "string", "minLength": 1, "maxLength": 128}
_JTI = {"type": "string", "minLength": 1, "maxLength": 256}


def document() -> dict[str, Any]:
    """The document, OpenAPI 3.1, as a JSON object."""
    shapes: dict[type, None] = {Refused: None}
    for operation in OPERATIONS:
        shapes.update({kind: None for kind in (operation.body, operation.answer) if isinstance(kind, type)})
    schemas, components = msgspec.json.schema_components(shapes, ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(shapes, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        # That a parameter may hold slashes is for the router: in a document it is a parameter.
        paths.setdefault(operation.path.replace(":path}", "}"), {})[operation.method.lower()] = _operation(
            operation, schema_of
        )
    said = {
        "openapi": "3.1.0",
        "info": {
            "title": "chatsim",
            "version": PROTOCOL_VERSION,
            "description": "The HTTP routes beside the WebSocket at /ws.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "user": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A user's token."},
                "admin": {"type": "http", "scheme": "bearer", "description": "The admin key."},
            },
        },
    }
    # Defaults come as tuples, which are no JSON.
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(said))
    return plain


def _operation(operation: Operation, schema_of: dict[type, dict[str, Any]]) -> dict[str, Any]:
    said: dict[str, Any] = {"operationId": operation.name, "summary": operation.summary}
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _JTI if name == "jti" else _NAME}
        for name in re.findall(r"{(\w+)(?::path)?}", operation.path)
    ]
    parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in operation.query.items()]
    if parameters:
        said["parameters"] = parameters
    if operation.body is not None:
        content = {"application/json": {"schema": schema_of[operation.body]}}
        said["requestBody"] = {"required": True, "content": content}
    said["responses"] = _responses(operation, schema_of)
    said["security"] = _SCHEMES[operation.auth]
    return said


def _responses(operation: Operation, schema_of: dict[type, dict[str, Any]]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "Done."}
    if isinstance(operation.answer, str):
        good["content"] = {operation.answer: {}}
    elif operation.answer is not None:
        good["content"] = {"application/json": {"schema": schema_of[operation.answer]}}
    responses = {str(operation.status): good}
    for status, codes in sorted((operation.errors | ({} if operation.auth == "nobody" else _AUTH_ERRORS)).items()):
        responses[str(status)] = {
            "description": " or ".join(f"`{code}`" for code in codes),
            "content": {"application/json": {"schema": schema_of[Refused]}},
        }
    return responses
