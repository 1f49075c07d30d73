"""The ways to rows of the tree, level by level, against what lies there."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from core.saved_model_writer import function, identity, meta_graph, placeholder, signature, write_saved_model
from tfexplore.core.items import Children, Deferred, Item, Scoped, fixed, place_of
from tfexplore.core.opener import open_model
from tfexplore.core.subjects import NodeSubject, NoteSubject, SectionSubject
from tfexplore.core.tree import function_items, root_items
from tfexplore.core.ways import way_to


def scoped(names: list[str]) -> Children:
    def leaf(position: int, label: str, below: Children | None) -> Item:
        return Item("node", label, NoteSubject(str(position)), below)

    return Deferred(lambda _: Scoped(names, "node", leaf).root())


def down(children: Children | None, name: str) -> Item | None:
    """What `place_of` leads to, level by level."""
    found = None
    while children is not None:
        place = place_of(children, name)
        if place is None:
            break
        (found,) = children.page(place, place + 1)
        children = found.children
    return found


@given(st.lists(st.text(alphabet="ab/1", max_size=7), max_size=20), st.text(alphabet="ab/1", max_size=7))
def test_every_name_is_found_level_by_level(names: list[str], other: str) -> None:
    names = sorted(names)
    children = scoped(names)
    for name in names:
        found = down(children, name)
        assert found is not None
        assert isinstance(found.subject, NoteSubject)
        assert names[int(found.subject.sentence)] == name
    if other not in names:
        assert down(children, other) is None


def test_what_tells_no_places_has_none() -> None:
    assert place_of(fixed([Item("node", "a", NoteSubject("a"))]), "a") is None


def test_ways_lead_to_rows(tmp_path: Path) -> None:
    body = function(b"f", [b"p"], {b"out": b"s/r:output:0"}, [identity(b"s/r", b"p")])
    graph = meta_graph(
        nodes=[placeholder(b"a/x"), identity(b"a/y", b"a/x")],
        functions=[body],
        signatures={b"serve": signature({}, {})},
    )
    with open_model(str(write_saved_model(tmp_path / "m", graph))) as model:
        owner = model.meta_graph()
        sections = {item.label: item for item in root_items(model)}
        inside = {item.label: item for item in function_items(owner, "f")}
        assert list(inside) == ["f", "p", "out", "Nodes"]
        nodes = [NodeSubject(owner, owner.graph, None, position) for position in (0, 1)]
        found = owner.functions.get("f")
        assert found is not None
        for subject, tree in [
            *((node, sections) for node in nodes),
            (NodeSubject(owner, found.graph, "f", 0), inside),
            (sections["Functions"].children.page(0, 1)[0].subject, sections),  # type: ignore[union-attr]
            (sections["Signatures"].children.page(0, 1)[0].subject, sections),  # type: ignore[union-attr]
        ]:
            way = way_to(subject)
            assert way is not None
            assert way.function == ("f" if tree is inside else None)
            reached = down(tree[way.section].children, way.name)
            assert reached is not None
            assert reached.subject == subject
        argument = way_to(inside["p"].subject)
        assert argument is not None
        assert (argument.function, argument.name) == ("f", "p")
        assert way_to(SectionSubject("Graph", "")) is None
