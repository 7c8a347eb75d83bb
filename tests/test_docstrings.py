"""Every public name says what it is: modules, classes, functions and methods, and whatever `chatsim` names.

A method may leave it to the port that its class keeps to (a Protocol that has it, or a class of asyncio), and the
members of a port to the port; a setter leaves it to what it sets.
"""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import chatsim

ROOT = Path(__file__).parents[1]
Callable = ast.FunctionDef | ast.AsyncFunctionDef


def trees() -> dict[str, ast.Module]:
    """Every source file with something in it."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "chatsim").rglob("*.py"))}
    return {path.relative_to(ROOT).as_posix(): ast.parse(text) for path, text in texts.items() if text.strip()}


TREES = trees()


def is_port(node: ast.ClassDef) -> bool:
    return any("Protocol" in ast.unparse(base) for base in node.bases)


PORTS = {
    member.name
    for tree in TREES.values()
    for node in ast.walk(tree)
    if isinstance(node, ast.ClassDef) and is_port(node) and ast.get_docstring(node)
    for member in node.body
    if isinstance(member, Callable)
} | {name for name in dir(asyncio.Protocol) if not name.startswith("_")}


def undocumented(tree: ast.Module) -> Iterator[str]:
    """The public names of a module that nothing describes."""
    if not ast.get_docstring(tree):
        yield "the module"
    for node in tree.body:
        if not isinstance(node, Callable | ast.ClassDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            yield node.name
        if isinstance(node, ast.ClassDef) and not is_port(node):
            for member in node.body:
                if isinstance(member, Callable) and not member.name.startswith("_") and not ast.get_docstring(member):
                    setter = any(ast.unparse(word).endswith(".setter") for word in member.decorator_list)
                    if not setter and member.name not in PORTS:
                        yield f"{node.name}.{member.name}"


@pytest.mark.parametrize("module", TREES)
def test_every_public_name_says_what_it_is(module: str) -> None:
    assert list(undocumented(TREES[module])) == []


@pytest.mark.parametrize("name", chatsim.__all__)
def test_whatever_the_library_names_says_what_it_is(name: str) -> None:
    said = getattr(chatsim, name).__doc__
    assert said
    assert said.strip().endswith((".", "`")) or "\n" in said.strip()


def test_what_says_nothing_is_found() -> None:
    tree = ast.parse(
        '"""M."""\n\nclass A:\n    """A."""\n\n    def b(self):\n        return 1\n\ndef c():\n    return 2\n'
    )
    assert list(undocumented(tree)) == ["A.b", "c"]
    assert list(undocumented(ast.parse("x = 1"))) == ["the module"]
