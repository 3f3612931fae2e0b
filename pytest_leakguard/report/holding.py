"""A chain of references in words, and as a picture in the DOT language."""

from __future__ import annotations

from collections.abc import Callable

from pytest_leakguard.core.holding import Edge, EdgeKind, Held, Miss, Path

_WORDS: dict[EdgeKind, Callable[[str, str], str]] = {
    "global": lambda holder, name: f"{holder}, global `{name}`",
    "class": lambda holder, name: f"{holder}, attribute `{name}`",
    "thread": lambda holder, name: f"{holder}, attribute `{name}`",
    "fixture": lambda holder, name: f"value of {holder}",
    "test": lambda holder, name: f"local '{name}' of the test",
    "exact": lambda holder, name: holder,
    "attribute": lambda holder, name: f"{holder}.{name}",
    "key": lambda holder, name: f"{holder}[{name}]",
    "index": lambda holder, name: f"{holder}[{name}]",
    "element": lambda holder, name: f"{name or 'element'} of a {holder}",
    "closure": lambda holder, name: f"variable '{name}' in {holder}",
    "default": lambda holder, name: f"default of argument '{name}' of {holder}",
    "local": lambda holder, name: f"local '{name}' in {holder}" if name else f"in use by {holder}",
    "traceback": lambda holder, name: f"traceback of {holder}",
    "argument": lambda holder, name: f"argument {name} of {holder}",
    "cache": lambda holder, name: f"cache of {holder}",
    "context": lambda holder, name: f"context variable '{name}'" if name else "context variable",
    "thread-local": lambda holder, name: f"thread-local attribute `{name}` of {holder}",
    "awaits": lambda holder, name: f"{holder}, which waits for",
    "callback": lambda holder, name: "callback of a weak reference",
    "inside": lambda holder, name: holder,
}

REASONS: dict[Miss, str] = {
    "too long": "not found within {seconds:g} s",
    "frozen": "not found: gc.freeze() hides objects from the search",
    "unseen": "by C code, by an extension, or by a running frame that has no name for it",
    "ours": "",
    "running": "by nothing but the running thread itself",
    "bare": "no Python object holds it: a bare descriptor number",
    "spent": "not searched again: {seconds:g} s were spent on leaks with this origin",
    "none": "",
}


def chain(path: Path) -> tuple[str, ...]:
    """One phrase for each reference, and the type of the object at the end."""
    return (*(in_words(edge) for edge in path.edges), path.target)


def in_words(edge: Edge) -> str:
    """One reference: ``dict['header']``, ``module app.cache, global `_SOURCES```."""
    return _WORDS[edge.kind](edge.holder, edge.name)


def line(held: Held) -> str:
    """What stands behind the label ``held``; empty when there is nothing to tell."""
    if not held.chain:
        return held.reason
    graph = f"  [graph: {held.graph}]" if held.graph else ""
    return " -> ".join(held.chain) + graph


def dot(path: Path, title: str) -> str:
    """The picture: the root on top, one box for each object, references as labelled arrows."""
    boxes = [*(edge.holder for edge in path.edges), path.target]
    rows = [
        "digraph held {",
        f"  label={_quoted(title)};",
        "  labelloc=t;",
        '  node [shape=box, fontname="sans-serif"];',
        '  edge [fontname="sans-serif"];',
    ]
    for number, box in enumerate(boxes):
        ends = {0: ", style=bold", len(boxes) - 1: ', style=filled, fillcolor="#ffd9d9"'}
        rows.append(f"  n{number} [label={_quoted(box)}{ends.get(number, '')}];")
    for number, edge in enumerate(path.edges):
        rows.append(f"  n{number} -> n{number + 1} [label={_quoted(_arrow(edge))}];")
    return "\n".join([*rows, "}"]) + "\n"


def _arrow(edge: Edge) -> str:
    return {
        "global": f"global {edge.name}",
        "class": edge.name,
        "thread": edge.name,
        "attribute": f".{edge.name}",
        "key": f"[{edge.name}]",
        "index": f"[{edge.name}]",
        "closure": f"variable {edge.name}",
        "default": f"default of {edge.name}",
        "test": f"local {edge.name}",
        "local": f"local {edge.name}" if edge.name else "in use",
        "argument": f"argument {edge.name}",
        "exact": "",
        "inside": "",
        "awaits": "waits for",
        "fixture": "value",
    }.get(edge.kind, f"{edge.kind} {edge.name}".strip())


def _quoted(text: str) -> str:
    plain = "".join(char if char.isprintable() else "?" for char in text)
    plain = plain.encode("utf-8", "replace").decode("utf-8")
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
