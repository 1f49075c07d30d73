"""From variables to keys: by the way through the objects, by name, part by part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import saved_model_writer as writer
from core.exporting import ROWS, WEIGHTS
from formats.table_writer import Partition, strings, write_bundle
from tfexplore.core.checkpoint import OBJECT_GRAPH_KEY
from tfexplore.core.export_keys import copies_of, values_by_key, variable_at, variable_named
from tfexplore.core.model import Model
from tfexplore.core.opener import open_model
from tfexplore.errors import CorruptError, UsageError

VALUE = b"/.ATTRIBUTES/VARIABLE_VALUE"


def write_objects(folder: Path, *, captured: tuple[int, ...] = (2,)) -> Path:
    """root.layer, root.`a.b` and root.loop lead on; `w` lies at a.b.w and layer.w, under one name, with one value."""
    ways = [
        [(b"layer", 1), (b"a.b", 4), (b"loop", 0), (b"bare", 5)],
        [(b"w", 2), (b"other", 3)],
        [],
        [],
        [(b"w", 6)],
        [],
        [],
    ]
    names = {2: b"w", 3: b"other", 5: b"bare", 6: b"w"}
    keys = {2: b"layer/w" + VALUE, 3: b"layer/other" + VALUE, 6: b"a.Sb/w" + VALUE}
    saved = [
        writer.variable_object(names[number], (2, 3)) if number in names else writer.user_object(refs)
        for number, refs in enumerate(ways)
    ]
    graph = writer.object_graph(saved, {b"f": writer.concrete_function(captured)})
    function = writer.function(b"f", [b"x", *(b"v%d" % number for number in captured)], {}, [])
    writer.write_saved_model(folder, writer.meta_graph(functions=[function], objects=graph))
    stored = writer.trackable_graph([(refs, keys.get(number)) for number, refs in enumerate(ways)])
    (folder / "variables").mkdir()
    values: dict[bytes, Any] = dict.fromkeys(keys.values(), WEIGHTS)
    values[OBJECT_GRAPH_KEY.encode()] = strings(stored).reshape(())
    write_bundle(folder / "variables" / "variables", dict(sorted(values.items())))
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Any:
    with open_model(str(write_objects(tmp_path / "m"))) as opened:
        yield opened


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("layer.w", "layer/w"),
        (["layer", "w"], "layer/w"),
        ("loop.loop.layer.other", "layer/other"),
        ("a.b.w", "a.Sb/w"),
        (["a.b", "w"], "a.Sb/w"),
    ],
)
def test_by_any_way(model: Model, path: Any, key: str) -> None:
    assert variable_at(model.meta_graph(), path).key == key + VALUE.decode()


@pytest.mark.parametrize("path", ["layer", "", "root", "layer.w.x", "nothing", ["a", "b", "w"], ["a.b.w"]])
def test_ways_that_lead_to_no_variable(model: Model, path: Any) -> None:
    with pytest.raises(UsageError, match="no variable lies at"):
        variable_at(model.meta_graph(), path)


def test_by_name(model: Model, tmp_path: Path) -> None:
    graph = model.meta_graph()
    assert variable_named(graph, "other:0").key == "layer/other" + VALUE.decode()
    assert variable_named(graph, "w").key == "layer/w" + VALUE.decode()  # the one that a function captures
    with pytest.raises(UsageError, match="no variable is named nothing"):
        variable_named(graph, "nothing")
    both = str(write_objects(tmp_path / "both", captured=(2, 6)))
    with open_model(both) as other, pytest.raises(UsageError, match="2 variables are named w"):
        variable_named(other.meta_graph(), "w:0")


def test_copies_follow_where_nothing_uses_them(model: Model, tmp_path: Path) -> None:
    graph = model.meta_graph()
    used, copy = variable_at(graph, "layer.w"), variable_at(graph, "a.b.w")
    assert copies_of(graph, used) == (copy,)
    assert copies_of(graph, copy) == ()
    given = values_by_key(graph, [(used, WEIGHTS + 1)])
    assert given.keys() == {used.key, copy.key}
    assert values_by_key(graph, [(used, WEIGHTS + 1)], copies=False).keys() == {used.key}
    both = values_by_key(graph, [(used, WEIGHTS + 1), (copy, WEIGHTS + 2)])
    assert both[str(copy.key)].tolist() == (WEIGHTS + 2).tolist()
    with open_model(str(write_objects(tmp_path / "both", captured=(2, 6)))) as other:
        graph = other.meta_graph()
        assert copies_of(graph, variable_at(graph, "layer.w")) == ()


def test_what_has_no_place(model: Model) -> None:
    graph = model.meta_graph()
    with pytest.raises(UsageError, match="the variable bare has no value in the checkpoint"):
        values_by_key(graph, [(variable_at(graph, "bare"), WEIGHTS)])
    used = variable_at(graph, "layer.w")
    with pytest.raises(UsageError, match="is given twice"):
        values_by_key(graph, [(used, WEIGHTS), (used, WEIGHTS)])


def write_parts(folder: Path, specs: tuple[bytes, bytes] = (b"4 2 0,1:-", b"4 2 1,3:-")) -> Path:
    """A variable of TensorFlow 1 in two parts, as its saver tells."""
    nodes = []
    for number, length in enumerate((1, 3)):
        name = b"rows/part_%d" % number
        made = {"dtype": writer.attr(type=1), "shape": writer.attr(shape=writer.shape([length, 2]))}
        nodes += [
            writer.node(name, b"VarHandleOp", **made, shared_name=writer.attr(s=name)),
            writer.node(name + b"/read", b"ReadVariableOp", [name], dtype=writer.attr(type=1)),
        ]
    for name, texts in ((b"names", [b"rows", b"rows"]), (b"specs", list(specs))):
        tensor = writer.tensor(7, [2], string_val=texts)
        nodes.append(writer.node(name, b"Const", dtype=writer.attr(type=7), value=writer.attr(tensor=tensor)))
    tensor = writer.tensor(7, [], string_val=[b"x"])
    nodes.append(writer.node(b"prefix", b"Const", dtype=writer.attr(type=7), value=writer.attr(tensor=tensor)))
    reads = [b"rows/part_0/read", b"rows/part_1/read"]
    nodes.append(writer.node(b"save", b"SaveV2", [b"prefix", b"names", b"specs", *reads]))
    writer.write_saved_model(folder, writer.meta_graph(nodes=nodes))
    (folder / "variables").mkdir()
    rows = Partition(ROWS, [[(0, 1), (0, None)], [(1, 3), (0, None)]])
    write_bundle(folder / "variables" / "variables", {b"rows": rows})
    return folder


def test_parts_are_put_together(tmp_path: Path) -> None:
    with open_model(str(write_parts(tmp_path / "m"))) as model:
        graph = model.meta_graph()
        first, second = (variable_named(graph, f"rows/part_{number}") for number in (0, 1))
        assert (first.key, first.slice_spec, second.slice_spec) == ("rows", "0,1:-", "1,3:-")
        both = values_by_key(graph, [(second, -ROWS[1:]), (first, -ROWS[:1])])
        assert both["rows"].tolist() == (-ROWS).tolist()
        alone = values_by_key(graph, [(second, -ROWS[1:])])
        assert alone["rows"].tolist() == np.concatenate([ROWS[:1], -ROWS[1:]]).tolist()
        for value in (ROWS, ROWS[1:].astype(np.float64)):
            with pytest.raises(UsageError, match=r"is float32 \[3, 2\], and .* cannot take its place"):
                values_by_key(graph, [(second, value)])
        with pytest.raises(UsageError, match="is given twice"):
            values_by_key(graph, [(first, ROWS[:1]), (first, ROWS[:1])])


@pytest.mark.parametrize("spec", [b"0,1", b"0,1:-:-", b"2,3:-", b"-1,1:-", b"x,1:-", b"1:-", b"0,1:--"])
def test_a_saver_that_names_no_such_part(tmp_path: Path, spec: bytes) -> None:
    with open_model(str(write_parts(tmp_path / "m", (b"4 2 " + spec, b"4 2 1,3:-")))) as model:
        graph = model.meta_graph()
        with pytest.raises(UsageError, match="which it cannot be"):
            values_by_key(graph, [(variable_named(graph, "rows/part_0"), ROWS[:1])])


def test_a_damaged_part_stops_it(tmp_path: Path) -> None:
    data = write_parts(tmp_path / "m") / "variables" / "variables.data-00000-of-00001"
    data.write_bytes(b"\1" + data.read_bytes()[1:])
    with open_model(str(tmp_path / "m")) as model:
        graph = model.meta_graph()
        with pytest.raises(CorruptError, match="rows does not match its checksum"):
            values_by_key(graph, [(variable_named(graph, "rows/part_1"), ROWS[1:])])
