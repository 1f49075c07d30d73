"""Search: the language against naive filters, the engine's limits, odd names, streaming and cancelling."""

from __future__ import annotations

import re
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.saved_model_writer import (
    DAMAGED_ATTR,
    attr,
    function,
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
)
from formats.table_writer import write_bundle
from tfexplore.core import text
from tfexplore.core.hit_items import hit_item
from tfexplore.core.model import Model
from tfexplore.core.opener import open_model
from tfexplore.core.pattern import Pattern, joined
from tfexplore.core.query import Dims, Query, looks_like, parse
from tfexplore.core.search import (
    COMPONENT,
    ELSEWHERE,
    EXACT,
    KEY,
    KINDS,
    NODE,
    PREFIX,
    TENSOR,
    Hit,
    fitting,
    matching,
    search,
)
from tfexplore.errors import Cancelled, UsageError

names_of_all_kinds = st.lists(
    st.one_of(
        st.sampled_from(
            ["", "a", "A/b", "dense/kernel", "Dense_1/Kernel:0", "a\nb", "x\x1b[31m", "a\\b", "\udcff", "é", "ß"]
        ),
        st.text(alphabet="aB/_\n\\é\udc80 ", max_size=6),
    ),
    max_size=20,
)


# -- words and expressions --


@given(names_of_all_kinds, st.lists(st.text(alphabet="aB/_é\\x", min_size=1, max_size=3), min_size=1, max_size=3))
def test_words_are_found_as_a_loop_finds_them(names: list[str], words: list[str]) -> None:
    try:
        query = parse(" ".join(words))
    except UsageError:  # `/(/` and the like
        assume(False)
    assert len(query.words) == len(words) - sum(len(word) > 2 and word[0] == word[-1] == "/" for word in words)

    def fits(name: str) -> bool:
        shown = text.visible(name)
        for word in words:
            if len(word) > 2 and word[0] == word[-1] == "/":
                continue
            exact = any(map(str.isupper, word))
            if word not in shown if exact else word.casefold() not in shown.casefold():
                return False
        return True

    if not query.patterns:
        assert list(fitting(query, names)) == [place for place, name in enumerate(names) if fits(name)]


expressions = st.one_of(
    st.sampled_from(
        ["^a", "b$", "^$", "$", "", ".*", "a.b", "[^a]", r"\s", r"\W+", r"\n", "a|^b", r"\bB", r"\B", "(a|B)*/",
         "(?i)b", "(?s).", r"\Aa", r"b\z", r"\x62", "[[:upper:]]", "é", r"\\x1b", r"\\udcff|\\xff", r"x\C", r"\Qa/\E",
         "(?-m)^B", ".{2}$", "a\n"]
    ),
    st.text(alphabet="aB/.^$*[]|()é", max_size=6),
)  # fmt: skip


@given(names_of_all_kinds, expressions, st.booleans())
def test_names_joined_are_searched_as_names_alone(names: list[str], expression: str, ignore_case: bool) -> None:
    try:
        pattern = Pattern(expression, ignore_case=ignore_case)
    except UsageError:
        return
    alone = [place for place, name in enumerate(names) if pattern.search(name)]
    assert (pattern.lines(joined(names)) if names else []) == alone
    assert list(fitting(Query(patterns=(pattern,)), names)) == alone


@given(names_of_all_kinds, st.sampled_from(["^a", "b$", "^$", "a.b", "[aé]b?", "(a|B)+/", r"B\b", "_|ß", r"\\xff"]))
def test_simple_expressions_mean_what_they_mean_to_python(names: list[str], expression: str) -> None:
    found = [place for place, name in enumerate(names) if re.search(expression, text.visible(name), re.ASCII)]
    assert list(fitting(Query(patterns=(Pattern(expression),)), names)) == found


@given(names_of_all_kinds)
def test_what_is_shown_of_a_name_finds_it(names: list[str]) -> None:
    assert joined(names).split("\n") == [text.visible(name) for name in names] or not names
    for place, name in enumerate(names):
        shown = text.visible(name)
        if shown and '"' not in shown:
            assert place in fitting(parse(f'"{shown}"'), names)


@pytest.mark.parametrize(
    "expression", ["(?=a)", "(?!a)", "(?<=a)b", r"(a)\1", "a{2000}", "(", "[", "a**" * 700, r"a\Z"]
)
def test_what_re2_does_not_have_is_refused_in_one_sentence(expression: str) -> None:
    with pytest.raises(UsageError) as caught:
        Pattern(expression)
    assert "--match" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("expression", ["(?=a)b", r"(a)\1"])
def test_what_tracks_back_is_said_not_to_be_there(expression: str) -> None:
    with pytest.raises(UsageError, match="no look-around and no backreferences"):
        Pattern(expression)


def test_an_expression_that_explodes_elsewhere_is_over_at_once() -> None:
    name = "a" * 50_000
    assert not Pattern("(a+)+(a+)+(a|aa)+$b").search(name)
    assert Pattern("(x+x+)+y|a$").search(name)


def test_without_re2_words_still_work_and_expressions_say_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)
    assert list(fitting(parse("dense"), ["a", "Dense/kernel"])) == [1]
    assert Pattern("dense_1/kernel").search("x/dense_1/kernel:0")
    with pytest.raises(UsageError, match="google-re2"):
        Pattern("dense.*")


# -- filters --


@given(st.text(alphabet="ab*?", max_size=6), st.text(alphabet="ab", max_size=7))
def test_globs_look_as_expressions_do(glob: str, name: str) -> None:
    expression = "".join({"*": ".*", "?": "."}.get(part, part) for part in glob)
    assert looks_like(glob, name) == bool(re.fullmatch(expression, name))


@pytest.mark.parametrize(
    ("query", "fits", "does_not"),
    [
        ("shape:[?,3]", [(None, 3)], [(2, 3), (None,), (None, 3, 1), None]),
        ("shape:*,128", [(None, 128), (7, 128)], [(128,), (1, 2, 128)]),
        ("shape:[]", [()], [(1,), None]),
        ("shape:[...,3]", [(3,), (1, 2, 3)], [(), (3, 1), None]),
        ("shape:[2,...,3]", [(2, 3), (2, 9, 3)], [(2,), (3,)]),
        ("shape:[2,", [(2,), (2, 5)], [(), (3, 2)]),
        ("shape:[", [(), (4, 4)], [None]),
        ("shape:[2, ?]", [(2, None)], [(2, 2)]),
        ("shape:unknown", [None], [(), (None,)]),
        ("shape:5", [(5,)], [(5, 5)]),
    ],
)
def test_shapes(query: str, fits: list[Any], does_not: list[Any]) -> None:
    (dims,) = parse(query).shapes
    assert [dims.accepts(found) for found in fits] == [True] * len(fits)
    assert [dims.accepts(found) for found in does_not] == [False] * len(does_not)


@pytest.mark.parametrize("query", ["shape:[x]", "shape:a,3", "shape:-1", "shape:[...,...]", f"shape:{9**20}"])
def test_what_is_no_shape(query: str) -> None:
    with pytest.raises(UsageError, match="shape:"):
        parse(query)


@given(st.text(max_size=40))
def test_whatever_is_typed_is_taken_or_refused_in_one_sentence(typed: str) -> None:
    for length in range(len(typed) + 1):
        problem = ""
        try:
            fitting(parse(typed[:length]), ["a", "b\n", "\udcff"])
        except UsageError as error:
            problem = str(error)
        assert "\n" not in problem


def test_what_is_not_finished_narrows_as_far_as_it_goes() -> None:
    assert parse("op: dtype: shape: attr: re:").is_empty
    assert parse("").is_empty
    assert parse("shape:[").shapes == (Dims((), begins=True),)
    assert parse('"op:x"').words[0].text == "op:x"
    assert parse("//").words[0].text == "//"


# -- models --


@pytest.fixture
def model(tmp_path: Path) -> Any:
    conv = {"T": attr(type=1), "strides": attr(), "padding": attr(s=b"SAME")}
    nodes = [
        placeholder(b"x"),
        identity(b"dense/kernel", b"x"),
        identity(b"Dense_1/bias", b"x"),
        node(b"dense", b"Conv2D", [b"x", b"x"], **conv),
        node(b"conv/same", b"Conv2D", [b"x", b"x"], **{**conv, "padding": attr(s=b"VALID")}),
        node(b"parts/split", b"Split", [b"x", b"x"], T=attr(type=1), num_split=attr(i=3)),
        node(b"odd\xff\x1b", b"NoOp"),
        node(b"bad", b"Relu") + DAMAGED_ATTR,
    ]
    objects = object_graph([user_object([(b"layer", 1)]), variable_object(b"dense/kernel", [3, 4])])
    body = function(b"inner", [b"arg"], {b"out": b"dense/y:output:0"}, [identity(b"dense/y", b"arg")])
    found = meta_graph(
        nodes=nodes,
        functions=[body, function(b"dense_fn")],
        signatures={b"dense_signature": signature({b"in": info(b"x:0")}, {b"out": info(b"dense:0", 3, [1])})},
        objects=objects,
    )
    folder = write_saved_model(tmp_path / "model", found)
    (folder / "variables").mkdir(exist_ok=True)
    write_bundle(
        folder / "variables" / "variables",
        {b"layer/dense": np.ones((3, 4), np.float32), b"other": np.ones(2, np.int64)},
    )
    with open_model(str(folder)) as opened:
        yield opened


def found(model: Model, query: str, **options: Any) -> list[Hit]:
    return [hit for batch in search(model, parse(query), **options) for hit in batch]


def test_all_kinds_are_found_and_have_a_row(model: Model) -> None:
    hits = found(model, "dense", what=KINDS)
    assert {(hit.kind, hit.name, hit.function) for hit in hits} == {
        ("signature", "dense_signature", None),
        ("variable", "dense/kernel", None),
        ("key", "layer/dense", None),
        ("function", "dense_fn", None),
        ("node", "dense/kernel", None),
        ("node", "Dense_1/bias", None),
        ("node", "dense", None),
        ("node", "dense/y", "inner"),
        ("tensor", "dense/kernel:0", None),
        ("tensor", "Dense_1/bias:0", None),
        ("tensor", "dense:0", None),
        ("tensor", "dense/y:0", "inner"),
    }
    assert [hit_item(model, hit).label for hit in hits] == [hit.name for hit in hits]
    assert [(hit.kind, hit.name) for hit in found(model, "layer", what=("object",))] == [("object", "layer")]
    (argument,) = found(model, "arg", what=(TENSOR,), function="inner")
    assert (argument.ref, hit_item(model, argument).label) == (-1, "arg:0")


@pytest.mark.parametrize(
    ("query", "kind", "names"),
    [
        ("op:Conv2D", NODE, ["dense", "conv/same"]),
        ("op:conv", NODE, ["dense", "conv/same"]),
        ("op:*2D dense", NODE, ["dense"]),
        ("op:Conv attr:padding=SAME", NODE, ["dense"]),
        ("attr:padding=same", NODE, ["dense"]),
        ("attr:padd", NODE, ["dense", "conv/same"]),
        ("attr:pad=SAME", NODE, []),
        ("attr:num_split=3", NODE, ["parts/split"]),
        ("dtype:float32 op:Id", NODE, ["dense/kernel", "Dense_1/bias", "dense/y"]),
        ("dtype:int32", NODE, []),
        ("shape:[?,3]", NODE, ["x"]),
        ("split", TENSOR, ["parts/split:0", "parts/split:1", "parts/split:2"]),
        ("split:1", TENSOR, ["parts/split:1"]),
        ("op:Split /[12]$/", TENSOR, ["parts/split:1", "parts/split:2"]),
        (r"odd\xff\x1b", NODE, ["odd\udcff\x1b"]),
        (r"re:\\xff", NODE, ["odd\udcff\x1b"]),
        ("odd\udcff\x1b", NODE, ["odd\udcff\x1b"]),
        ("dtype:int64", KEY, ["other"]),
        ("shape:[3,4]", KEY, ["layer/dense"]),
        ("op:Conv2D", KEY, []),
        ("shape:3,4", "variable", ["dense/kernel"]),
        ("dtype:int32", "signature", ["dense_signature"]),
        ("dtype:int32", "function", []),
    ],
)
def test_filters(model: Model, query: str, kind: str, names: list[str]) -> None:
    assert sorted(hit.name for hit in found(model, query, what=(kind,))) == sorted(names)


def test_the_best_come_first_within_a_batch(model: Model) -> None:
    ranks = {hit.name: hit.rank for hit in found(model, "dense", what=(NODE, KEY))}
    assert ranks == {
        "dense": EXACT,
        "layer/dense": COMPONENT,
        "dense/kernel": PREFIX,
        "Dense_1/bias": PREFIX,
        "dense/y": PREFIX,
    }
    assert {hit.rank for hit in found(model, "ense", what=(NODE,))} == {ELSEWHERE}
    for batch in search(model, parse("dense"), what=KINDS):
        assert [hit.rank for hit in batch] == sorted(hit.rank for hit in batch)


def test_an_empty_query_finds_nothing_and_a_wrong_function_is_said(model: Model) -> None:
    assert found(model, "") == []
    with pytest.raises(UsageError):
        found(model, "x", function="nothing_such")


def test_batches_are_bounded_and_a_search_can_be_cancelled(tmp_path: Path) -> None:
    nodes = [node(b"n%d" % number) for number in range(10_000)]
    with open_model(str(write_saved_model(tmp_path / "many", meta_graph(nodes=nodes)))) as model:
        batches = list(search(model, parse("n"), what=(NODE,)))
        assert max(map(len, batches)) <= 1000
        assert sorted(hit.ref for batch in batches for hit in batch) == list(range(10_000))
        cancel = threading.Event()
        running = search(model, parse("n"), what=(NODE,), cancel=cancel)
        assert next(running)
        cancel.set()
        with pytest.raises(Cancelled):
            list(running)


@given(names_of_all_kinds, st.sampled_from(["a", "B", "/a/", "/^$/", "a b", ""]))
def test_matching_keeps_items_and_their_order(names: list[str], query: str) -> None:
    items = list(enumerate(names))
    parsed = parse(query)
    assert list(matching(items, parsed, lambda item: item[1])) == [items[place] for place in fitting(parsed, names)]


def test_names_of_megabytes_are_searched_in_parts() -> None:
    names = ["a" * 3_000_000 + "b", "c" * 3_000_000, "b"]
    assert list(fitting(parse("b"), names)) == [0, 2]
