"""A model to walk through in tests: a loop over a kernel, a graph without stored shapes, a node of many edges."""

from __future__ import annotations

from pathlib import Path

from core.saved_model_writer import (
    attr,
    concrete_function,
    function,
    function_name,
    identity,
    info,
    meta_graph,
    node,
    object_graph,
    placeholder,
    signature,
    user_object,
    variable_object,
    write_saved_model,
)  # fmt: skip
from tfexplore.core.subjects import NodeSubject
from tui.driving import Driver

HANDLE = 20  # DT_RESOURCE


def types(*listed: int) -> bytes:
    """An AttrValue that is a list of types."""
    packed = bytes(listed)
    inner = b"\x32" + bytes([len(packed)]) + packed
    return b"\x0a" + bytes([len(inner)]) + inner


def write_walk(folder: Path, count: int = 3) -> Path:
    """`x` → `y` → `z`, `count` consumers of `z`, `pair` with two outputs, and a loop behind the signature's call."""
    loop = [
        node(
            b"loop",
            b"While",
            [b"x", b"kernel"],
            T=types(1, 1),
            body=attr(func=function_name(b"body")),
            cond=attr(func=function_name(b"cond")),
        )
    ]
    product = [node(b"product", b"MatMul", [b"a", b"k"], T=attr(type=1))]
    functions = [
        function(b"called", [b"x", b"kernel"], {b"out": b"loop:output:0"}, loop),
        function(b"body", [b"a", b"k"], {b"next": b"product:product:0", b"same": b"k"}, product),
        function(b"cond", [b"a", b"k"], {b"go": b"a"}),
        function(b"silent", [b"a"], {b"b": b"quiet:output:0"}, [identity(b"quiet", b"a")]),
        function(b"fails", [b"a"], {b"b": b"loud:output:0"}, [identity(b"loud", b"a")]),
    ]
    nodes = [
        placeholder(b"x"),
        node(b"dense/kernel", b"VarHandleOp", dtype=attr(type=1), shared_name=attr(s=b"dense/kernel")),
        identity(b"y", b"x"),
        identity(b"z", b"y"),
        *(identity(b"use%03d" % number, b"z") for number in range(count)),
        node(b"pair", b"Unpack", [b"z"], T=attr(type=1), num=attr(i=2), axis=attr(i=0)),
        identity(b"second", b"pair:1"),
        node(b"after", b"NoOp", [b"^z"]),
        placeholder(b"apart"),
        node(
            b"call",
            b"StatefulPartitionedCall",
            [b"x", b"dense/kernel"],
            Tin=types(1, HANDLE),
            Tout=types(1),
            f=attr(func=function_name(b"called")),
        ),
    ]
    objects = object_graph(
        [user_object([(b"kernel", 1)]), variable_object(b"dense/kernel", [3, 3])],
        {b"called": concrete_function([1])},
    )
    return write_saved_model(
        folder,
        meta_graph(
            nodes=nodes,
            functions=functions,
            objects=objects,
            signatures={b"serving_default": signature({b"in": info(b"x:0")}, {b"out": info(b"call:0")})},
        ),
    )


def node_in(driver: Driver, name: str, function: str | None = None) -> NodeSubject:
    """A node of the model that is open."""
    model = driver.session.model
    assert model is not None
    owner = model.meta_graphs[0]
    found = owner.functions.get(function) if function is not None else None
    graph = owner.graph if function is None else found.graph if found is not None else None
    assert graph is not None
    position = graph.find(name)
    assert position is not None, graph.names
    return NodeSubject(owner, graph, function, position)


async def show(driver: Driver, name: str, function: str | None = None) -> NodeSubject:
    """Shows the details of a node, focused."""
    subject = node_in(driver, name, function)
    driver.detail.focus()
    await driver.session.follow(subject)
    await shown(driver, name)
    return subject


async def shown(driver: Driver, title: str) -> None:
    """Waits until something is shown and drawn."""
    await driver.until(lambda: driver.title == title)
    await driver.until(
        lambda: driver.session.shown is not None and driver.detail._drawn_of[0] is driver.session.shown.detail
    )


def line_at_cursor(driver: Driver) -> str:
    """What stands under the cursor of the details."""
    return driver.detail.render_line(driver.detail.cursor_line - driver.detail.scroll_offset.y).text.strip()
