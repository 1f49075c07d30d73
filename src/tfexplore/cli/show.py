"""`tfexplore show PATH [SECTION]`: prints a section of a model."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from tfexplore import __version__
from tfexplore.cli import diagnostics, output
from tfexplore.cli.output import Column, cell
from tfexplore.cli.target import open_target, tell_checkpoint
from tfexplore.core import text
from tfexplore.core.model import COLLECTION, Model
from tfexplore.core.narrowing import SORTS, Options, Section
from tfexplore.core.sections import SECTIONS, section
from tfexplore.core.summary import damage, without_values
from tfexplore.errors import UsageError

if TYPE_CHECKING:
    from tfexplore.core.pattern import Pattern
    from tfexplore.core.query import Query

TERMINAL_LIMIT = 200
# On a terminal more arguments than this are counted, not listed: a saver has hundreds.
_MAX_ARGUMENTS = 4


def run(options: argparse.Namespace) -> int:
    """Runs the command; returns the exit code.

    Raises:
        UsageError, ModelError: as `diagnostics` turns them into exit codes.
    """
    if options.section not in SECTIONS:
        raise UsageError(f"there is no section {text.label(options.section)}; choose from {', '.join(SECTIONS)}")
    narrowed = Options(
        tag_set=None if options.tag_set is None else tuple(filter(None, options.tag_set.split(","))),
        function=options.function,
        match=pattern(options.match),
        attrs=options.attrs,
        search=_query(options.search),
        sort=options.sort,
    )
    with open_target(options.path, quiet=options.quiet) as model:
        _refuse_idle(model, options.section, narrowed)
        found = section(model, options.section, narrowed)
        for sentence in _damage(model, options.section, narrowed):
            diagnostics.note(sentence, quiet=options.quiet)
        if options.section != "checkpoints":
            tell_checkpoint(model, quiet=options.quiet)
        said = len(model.notes)
        if _is_long_list(model, options):
            _write_keys(model, options)
        elif options.json:
            _write_json(model, options, found)
        elif model.kind == COLLECTION:
            _write_text(model, options, found, "found")
        elif options.section == "summary":
            _write_summary(model, next(iter(found)))
        else:
            _write_text(model, options, found, options.section)
        if options.section != "summary":
            for sentence in model.notes[said:]:  # what came to light while the names were read
                diagnostics.note(sentence, quiet=options.quiet)
    return diagnostics.DONE


def _is_long_list(model: Model, options: argparse.Namespace) -> bool:
    """Whether all keys are asked for where nobody watches: they are written block by block."""
    wanted = options.section == "keys" and options.limit is None
    wanted = wanted and options.match is None and options.search is None and options.sort is None
    return wanted and model.checkpoint is not None and (options.json or not output.is_terminal())


def _write_keys(model: Model, options: argparse.Namespace) -> None:
    from tfexplore.cli import key_lines

    assert model.checkpoint is not None
    if options.json:
        output.write_document_lines(_head(model, options), key_lines.iter_json(model.checkpoint))
        return
    columns, spread = _COLUMNS["keys"]
    count = 0

    def row_line(row: dict[str, Any]) -> str:
        return "\t".join(column.cell(value) for column, value in zip(columns, spread(row)[0], strict=True))

    for lines in key_lines.iter_text(model.checkpoint, row_line):
        output.write_lines(lines)
        count += len(lines)
    if not count:
        diagnostics.note(_empty(model, options), quiet=options.quiet)


def _damage(model: Model, name: str, options: Options) -> list[str]:
    """What a section may lack because it cannot be read; the summary says it in its own notes."""
    if name == "summary":
        return list(model.notes) if model.kind == COLLECTION else []
    if name in ("keys", "files", "checkpoints"):  # these need neither the graph nor the objects
        return list(model.notes)
    return damage(model, model.meta_graph(options.tag_set) if model.meta_graphs else None)


def _refuse_idle(model: Model, name: str, options: Options) -> None:
    """An option that a section does not heed would give an answer to another question."""
    if model.kind == COLLECTION and name != "summary":
        from tfexplore.core.collection import several

        raise UsageError(several(model))
    if options.function is not None and name not in ("nodes", "ops", "tensors"):
        raise UsageError(f"--function goes with nodes, ops and tensors, not with {name}")
    if options.attrs and name != "nodes":
        raise UsageError(f"--attrs goes with nodes, not with {name}")
    if options.match is not None and name in ("summary", "checkpoints"):
        raise UsageError(f"--match goes with lists of names, not with {name}")
    if options.search is not None and name in ("summary", "checkpoints"):
        raise UsageError(f"--search goes with lists of names, not with {name}")
    if options.sort is not None and options.sort not in SORTS.get(name, ()):
        raise UsageError(_wrong_sort(options.sort, name))
    if options.tag_set is not None and not model.meta_graphs:
        raise UsageError(f"{model.path}: a {model.kind_name} has no tag-sets")


def _wrong_sort(sort: str, name: str) -> str:
    orders = SORTS.get(name)
    if orders is None:
        return f"--sort goes with lists of names, not with {name}"
    return f"--sort {sort} does not go with {name}, which take {' or '.join(orders)}"


def pattern(expression: str | None) -> Pattern | None:
    """What --match asks for.

    Raises:
        UsageError: it is no regular expression of RE2's, or RE2 is missing.
    """
    if expression is None:
        return None
    from tfexplore.core.pattern import Pattern

    return Pattern(expression)


def _query(words: str | None) -> Query | None:
    if words is None:
        return None
    from tfexplore.core.query import parse

    return parse(words)


def _head(model: Model, options: argparse.Namespace) -> dict[str, Any]:
    return {
        "schema": 1,
        "tfexplore": __version__,
        "path": model.path,
        "kind": model.kind,
        "command": "show",
        "section": options.section,
    }


def _write_json(model: Model, options: argparse.Namespace, found: Section) -> None:
    head = _head(model, options)
    if model.kind == COLLECTION:
        head["notes"] = list(model.notes)
    elif options.section == "summary":
        output.write(output.json_text(head | next(iter(found))))
        return
    output.write_document(head, ((lambda ref=ref: found.row(ref)) for ref in found.refs), options.limit)


# -- text --


def _write_summary(model: Model, facts: dict[str, Any]) -> None:
    tag_sets = "; ".join(",".join(tags) or "(no tags)" for tags in facts["tag_sets"])
    lines = [("kind", model.kind_name)]
    if model.meta_graphs:
        lines += [
            ("written by", f"TensorFlow {facts['writer']}" if facts["writer"] else "not stored"),
            ("tag-sets", tag_sets),
            ("signatures", text.count(facts["signatures"])),
        ]
    sizes = (text.count(facts["variables"]), text.plural(facts["parameters"], "parameter"), text.size(facts["bytes"]))
    lines.append(("variables", " · ".join(sizes)))
    if model.meta_graphs:
        lines += [
            ("nodes", text.count(facts["nodes"])),
            ("functions", f"{text.count(facts['functions'])} with {text.plural(facts['function_nodes'], 'node')}"),
        ]
    else:
        lines += [
            ("keys", text.count(facts["keys"])),
            ("step", "not in the name" if facts["step"] is None else text.count(facts["step"])),
            ("checkpoints", text.count(facts["checkpoints"])),
        ]
    for name, value in lines:
        _write_fact(name, value)
    _write_scopes(facts["scopes"])
    for sentence in facts["notes"]:
        _write_fact("note", sentence)


def _write_fact(name: str, value: str) -> None:
    output.write((f"{name:<12}" if output.is_terminal() else f"{name}\t") + text.visible(value))


def _write_scopes(scopes: list[dict[str, Any]]) -> None:
    columns = [
        Column("scope", cell),
        Column("parameters", text.count, right=True),
        Column("bytes", text.size, right=True),
    ]
    rows = [(scope["name"], scope["parameters"], scope["bytes"]) for scope in scopes]
    if output.is_terminal():
        output.write_table(columns, rows[:TERMINAL_LIMIT], color=False)
        if len(rows) > TERMINAL_LIMIT:
            output.write(f"… {text.count(len(rows) - TERMINAL_LIMIT)} more scopes (--json shows all)")
    else:
        for name, parameters, nbytes in rows:
            output.write(f"scope\t{cell(name)}\t{parameters}\t{nbytes}")


def _shape(shape: list[int | None] | None) -> str:
    from tfexplore.core.shapes import format_shape

    return format_shape(None if shape is None else tuple(shape))


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _arguments(found: list[dict[str, Any]]) -> str:
    if output.is_terminal() and len(found) > _MAX_ARGUMENTS:
        return f"{text.count(len(found))} of them"
    return ", ".join(f"{cell(part['name'])}: {part['dtype']} {_shape(part['shape'])}" for part in found)


def _signature_rows(row: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for side in ("inputs", "outputs"):
        for info in row[side]:
            tensor = info["tensor"]
            if tensor is None:
                tensor = ", ".join(info.get("components") or info.get("sparse", {}).values())
            yield row["name"], side[:-1], info["name"], info["dtype"], info["shape"], tensor
    if not row["inputs"] and not row["outputs"]:
        yield row["name"], "-", "-", "-", [], "-"


def _feature_rows(row: dict[str, Any]) -> list[tuple[Any, ...]]:
    owner = row["signature"] if "call" not in row else f"call {row['call']}"
    if "problem" in row:
        return [(owner, row["input"], None, None, f"not told: {row['problem']}", None, [], None)]
    default = "required" if row["required"] else None if row["default"] is None else output.json_text(row["default"])
    return [(owner, row["input"], *(row[key] for key in ("feature", "part", "kind", "dtype", "shape")), default)]


def _one(*fields: str) -> Any:
    return lambda row: [tuple(row.get(field) for field in fields)]


def _node_rows(row: dict[str, Any]) -> list[tuple[Any, ...]]:
    inputs = ", ".join(row["inputs"])
    if "problem" in row:
        inputs = f"damaged: {row['problem']}"
    if "attrs" in row:
        return [(row["name"], row["op"], inputs or None, row["device"] or None, row["attrs"])]
    return [(row["name"], row["op"], inputs or None, row["device"] or None)]


def _text_bytes(value: int | None) -> str:
    return "-" if value is None else (text.size(value) if output.is_terminal() else str(value))


def _stored_dtype(row: dict[str, Any]) -> str:
    """The dtype of a stored value, with what is wrong with its entry."""
    if row["dtype"] is None:
        return f"damaged: {row.get('problem')}"
    return f"{row['dtype']} (unverified)" if "problem" in row else str(row["dtype"])


_COLUMNS: dict[str, tuple[list[Column], Any]] = {
    "found": (
        [
            Column("path", cell),
            Column("kind", cell),
            Column("version", _number, right=True),
            Column("bytes", _text_bytes, right=True),
            Column("modified", cell),
        ],
        _one("path", "kind", "version", "bytes", "modified"),
    ),
    "signatures": (
        [
            Column("signature", cell),
            Column("side", cell),
            Column("name", cell),
            Column("dtype", cell),
            Column("shape", _shape),
            Column("tensor", cell),
        ],
        _signature_rows,
    ),
    "features": (
        [
            Column("signature", cell),
            Column("input", cell),
            Column("feature", cell),
            Column("part", cell),
            Column("kind", cell),
            Column("dtype", cell),
            Column("shape", _shape),
            Column("default", cell),
        ],
        _feature_rows,
    ),
    "variables": (
        [
            Column("name", cell),
            Column("dtype", cell),
            Column("shape", _shape),
            Column("trainable", cell),
            Column("used", cell),
            Column("bytes", _text_bytes, right=True),
            Column("key", cell),
        ],
        lambda row: [
            (
                row["name"],
                _stored_dtype(row) if "problem" in row else row["dtype"],
                *(row[field] for field in ("shape", "trainable", "used", "bytes", "key")),
            )
        ],
    ),
    "keys": (
        [
            Column("name", cell),
            Column("dtype", cell),
            Column("shape", _shape),
            Column("bytes", _text_bytes, right=True),
            Column("shard", cell, right=True),
            Column("offset", _number, right=True),
        ],
        lambda row: [
            (
                row["name"],
                _stored_dtype(row),
                row["shape"],
                row["bytes"],
                text.plural(len(row["slices"]), "slice") if "slices" in row else row["shard"],
                row["offset"],
            )
        ],
    ),
    "nodes": (
        [Column("name", cell), Column("op", cell), Column("inputs", cell), Column("device", cell)],
        _node_rows,
    ),
    "ops": ([Column("op", cell), Column("count", _number, right=True)], _one("op", "count")),
    "tensors": (
        [Column("name", cell), Column("op", cell), Column("dtype", cell), Column("shape", _shape)],
        lambda row: [(row.get("arg") or row["name"], row["op"], row["dtype"], row["shape"])],
    ),
    "functions": (
        [
            Column("name", cell),
            Column("nodes", _number, right=True),
            Column("inputs", _arguments),
            Column("outputs", _arguments),
        ],
        _one("name", "nodes", "inputs", "outputs"),
    ),
    "objects": (
        [
            Column("path", cell),
            Column("kind", cell),
            Column("children", _number, right=True),
            Column(
                "slots", lambda slots: ", ".join(cell(f"{slot['variable']}: {slot['slot']}") for slot in slots) or "-"
            ),
        ],
        _one("path", "kind", "children", "slots"),
    ),
    "assets": (
        [Column("name", cell), Column("bytes", _text_bytes, right=True), Column("tensor", cell)],
        _one("name", "bytes", "tensor"),
    ),
    "files": (
        [Column("name", cell), Column("bytes", _text_bytes, right=True), Column("what", cell)],
        lambda row: [
            (row["name"], row["bytes"], f"{row['what']} ({row['problem']})" if "problem" in row else row["what"])
        ],
    ),
    "checkpoints": (
        [
            Column("prefix", cell),
            Column("step", _number, right=True),
            Column("saved at", cell),
            Column("latest", cell),
            Column("keys", _number, right=True),
            Column("bytes", _text_bytes, right=True),
            Column("shards", _number, right=True),
            Column("missing shards", cell),
        ],
        lambda row: [
            (
                *(row[field] for field in ("prefix", "step", "saved_at", "latest", "keys", "bytes", "shards")),
                row.get("problem") or ", ".join(map(str, row["missing_shards"])) or None,
            )
        ],
    ),
}


def _write_text(model: Model, options: argparse.Namespace, found: Section, form: str) -> None:
    columns, spread = _COLUMNS[form]
    if options.attrs:
        columns = [*columns, Column("attributes", output.json_text)]
    limit = options.limit
    if limit is None and output.is_terminal():
        limit = TERMINAL_LIMIT
    refs = iter(found.refs)
    shown = 0

    def rows(taken: Iterable[Any]) -> Iterator[Any]:
        nonlocal shown
        for ref in taken:
            shown += 1
            yield from spread(found.row(ref))

    color = output.use_color(options.no_color)
    output.write_table(columns, rows(refs if limit is None else islice(refs, limit)), color=color)
    rest = sum(1 for _ in refs)
    if rest:
        diagnostics.note(
            f"{text.count(shown)} of {text.count(shown + rest)} shown; --limit {shown + rest} shows all",
            quiet=options.quiet,
        )
    elif not shown:
        diagnostics.note(_empty(model, options), quiet=options.quiet)


def _empty(model: Model, options: argparse.Namespace) -> str:
    if options.match is not None:
        return f"no name in {options.section} matches {options.match}"
    if options.search is not None:
        return f"nothing in {options.section} fits {options.search}"
    if options.section == "features":
        return "no input of this model is parsed as tf.Examples"
    if model.meta_graphs:
        meta_graph = model.meta_graphs[0]
        if options.section == "keys" and model.checkpoint is None and not model.notes and meta_graph.variables:
            return without_values(model, meta_graph)
        if meta_graph.is_broken:
            return f"no {options.section} can be read: the file is damaged, and they may be among what is missing"
    if options.section in ("keys", "variables", "objects") and model.checkpoint is None and model.checkpoint_files:
        return f"no {options.section} can be read: no checkpoint of this folder can be opened"
    return f"this model has no {options.section}"
