"""Messages in text format: what TensorFlow reads is read alike, and what cannot be read hides nothing else."""

from __future__ import annotations

import gzip
import struct
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from tfexplore.errors import Cancelled, CorruptError
from tfexplore.formats.proto import DecodeError, full, lean
from tfexplore.formats.text_proto import TextMessage, read_text
from tfexplore.formats.text_root import Root, text_root
from tfexplore.formats.text_source import PIECE

ROOTS: tuple[Root, ...] = ("SavedModel", "MetaGraphDef", "GraphDef")

SMALL = b"""# A graph
node {
  name: "a"
  op: "Const"
  attr { key: "dtype" value { type: DT_FLOAT } }
  attr {
    key: "value"
    value { tensor { dtype: DT_FLOAT tensor_shape { dim { size: 2 } } float_val: [1.5, -inf] } }
  }
}
node <
  name: 'b\\303\\251' "c", op: "Identity"; input: ["a", "^a"]
>
library {
  function {
    signature { name: "f" input_arg { name: "x" type: DT_INT32 } }
    node_def { name: "n" op: "Neg" input: "x" }
    node_def { name: "m" op: "Neg" input: "n:y:0" }
    ret { key: "y" value: "n:y:0" }
  }
  function { signature { name: "g" } }
}
versions { producer: 0x10 min_consumer: 010 }
"""


def read(text: bytes, root: Root = "GraphDef", size: int = PIECE) -> TextMessage:
    return read_text((text[at : at + size] for at in range(0, len(text), size)), root, path="graph.pbtxt")


LISTS = b"""library: { function: [ { signature { name: "f" } }, { node_def: [ { name: "n" } ] } ] }
node: [ { name: "a" attr: [ { key: "k" value { list { i: [1, 2 , 3] type: [ DT_INT8,3 ], s: ['x', "y"] } } } ] }, { } ]
versions { bad_consumers: [ ] bad_consumers: [7] }
"""


def whole(text: bytes, root: Root = "GraphDef", size: int = PIECE) -> Any:
    """The message in `text`, none of which may be damaged."""
    data, damage = read(text, root, size)
    assert damage == ()
    return full(root).FromString(data)


def name_of(node: bytes) -> str:
    try:
        return lean("NodeDef").FromString(node).name.decode()
    except DecodeError:
        return "(damaged)"


def names(message: TextMessage) -> list[str]:
    return [name_of(node) for node in lean("GraphDef").FromString(message.data).node]


def sentences(message: TextMessage) -> list[str]:
    return [str(error) for error in message.damage]


# ---- the oracles ----


def corpus_texts(corpus: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(corpus.glob("*/**/*")):
        if path.name.endswith((".pbtxt", ".pb.txt")) or path.name == "train_iris.pb":
            yield path, path.read_bytes()
        elif path.name.endswith(".pbtxt.gz"):
            yield path, gzip.decompress(path.read_bytes())


def tensorflow_class(root: Root) -> Any:
    from tensorflow.core.framework import graph_pb2
    from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

    return {
        "GraphDef": graph_pb2.GraphDef,
        "MetaGraphDef": meta_graph_pb2.MetaGraphDef,
        "SavedModel": saved_model_pb2.SavedModel,
    }[root]


def test_texts_of_the_corpus_are_what_tensorflow_reads(tf: Any, corpus: Path) -> None:
    compared = 0
    for path, text in corpus_texts(corpus):
        root = text_root(text[:PIECE])
        if len(text) > 10_000_000:
            continue
        message = tensorflow_class(root or "GraphDef")()
        try:
            text_format.Parse(text.decode(), message)
        except text_format.ParseError:
            # `text_root` tells other messages from ours; what is ours is damaged, and says so.
            if root is not None:
                assert read(text, root).damage, path
            continue
        assert root is not None, path
        data, damage = read(text, root)
        assert damage == (), path
        assert type(message).FromString(data) == message, path
        compared += 1
    assert compared > 100


def test_the_largest_text_of_the_corpus_is_read_in_little_memory(corpus: Path) -> None:
    path = next((corpus / "models" / "tf-graphdef_gnmt_gz").glob("*.pbtxt.gz"))
    told = 0

    def advance(size: int) -> None:
        nonlocal told
        told += size

    with gzip.open(path) as file:
        data, damage = read_text(iter(lambda: file.read(PIECE), b""), "GraphDef", path=path.name, advance=advance)
    assert damage == ()
    assert told > 70_000_000
    graph = lean("GraphDef").FromString(data)
    assert len(graph.node) == 5_877
    assert len(graph.library.function) == 7


SPELLINGS = {
    "s": rb"""
        "\xff\xfe" '\?\x1\XfFF\08\0012\377' "\u00e9\ud83d\ude00\ud800\U0001F600" "\a\b\f\n\r\t\v\\\'\"" 'a' "b"
        "\q" "\x" "\9" "a\" '"' bare 1 {}""",
    "i": b"0 -0 017 0x1F -0x1f - 5 9223372036854775807 9223372036854775808 +5 08 1.0 1_0 0b1 0o7 true '1'",
    "f": b"1 1.5 .5 1. 1f 1.f 1e3 -1E-3 - 1 1e40 -1e40 1e-60 inf -Infinity nan -nan 01.5 0x10 +1 abc 1e '1'",
    "b": b"true false t f True False 1 0 yes TRUE 2 'true'",
    "type": b"DT_FLOAT DT_FLOAT_REF 3 999 -1 DT_NOTHING 99999999999 1.5 'DT_FLOAT'",
}


@pytest.mark.parametrize("field", SPELLINGS)
def test_values_are_what_tensorflows_own_parser_reads(tf: Any, field: str) -> None:
    """The parser in C++, which takes any bytes in strings: reached by an op that decodes texts."""
    from tensorflow.core.framework import node_def_pb2

    raw = "café".encode("latin-1")
    values = [value.replace(b"\0", b" ") for value in SPELLINGS[field].replace(b"- ", b"-\0").split()]
    values += [b'"%b"' % raw, b"'a' # b\n 'c'"]
    read_alike = 0
    for value in values:
        text = b'node { attr { key: "k" value { %b: %b } } }' % (field.encode(), value)
        message = read(text)
        try:
            _, (nodes,) = tf.io.decode_proto(
                [text], "tensorflow.GraphDef", ["node"], [tf.string], message_format="text"
            )
        except tf.errors.DataLossError:
            assert message.damage, value
            continue
        assert not message.damage, value
        (ours,) = lean("GraphDef").FromString(message.data).node
        decode = node_def_pb2.NodeDef.FromString
        assert str(decode(ours)) == str(decode(nodes.numpy()[0, 0])), value
        read_alike += 1
    assert 4 <= read_alike < len(values)


@st.composite
def messages(draw: st.DrawFn, name: str, depth: int) -> Any:
    """Messages of full.proto, up to `depth` deep, by their descriptors."""
    message = full(name)()
    descriptor = message.DESCRIPTOR
    fields = [field for field in descriptor.fields if depth or field.type != field.TYPE_MESSAGE]
    if not fields:
        return message
    for field in draw(st.lists(st.sampled_from(fields), max_size=5, unique_by=lambda field: field.name)):
        if field.containing_oneof is not None and message.WhichOneof(field.containing_oneof.name) is not None:
            continue
        for _ in range(draw(st.integers(1, 3)) if field.is_repeated else 1):
            if field.type == field.TYPE_MESSAGE:
                inner = draw(messages(field.message_type.full_name.removeprefix("tfexplore.full."), depth - 1))
                held = getattr(message, field.name)
                (held.add() if field.is_repeated else held).CopyFrom(inner)
            elif field.is_repeated:
                getattr(message, field.name).append(draw(scalar_strategy(field)))
            else:
                setattr(message, field.name, draw(scalar_strategy(field)))
    return message


def scalar_strategy(field: Any) -> st.SearchStrategy[Any]:
    if field.type == field.TYPE_BYTES:
        return st.binary(max_size=12) | st.sampled_from([b"\\", b'"', b"'", b"\n", b"\xc3\xa9", b"\\x41", b"a#b", b"?"])
    if field.type == field.TYPE_BOOL:
        return st.booleans()
    if field.type == field.TYPE_ENUM:
        return st.sampled_from([value.number for value in field.enum_type.values]) | st.integers(-5, 2**31 - 1)
    if field.type == field.TYPE_FLOAT:
        return st.floats(width=32)
    if field.type == field.TYPE_DOUBLE:
        return st.floats()
    signed = field.type in (field.TYPE_INT32, field.TYPE_INT64, field.TYPE_SINT64)
    bits = 32 if field.type in (field.TYPE_INT32, field.TYPE_UINT32) else 64
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else st.integers(0, 2**bits - 1)


@given(st.data())
def test_what_protobuf_prints_is_read_back(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["AttrValue", "TensorProto", "StructuredValue", "FunctionDef", "MetaGraphDef"]))
    inner = data.draw(messages(name, 4))
    message = full("GraphDef")()
    root: Root = "GraphDef"
    if name == "AttrValue":
        message.node.add(name=b"n").attr.add(key=b"k").value.CopyFrom(inner)
    elif name == "TensorProto":
        message.node.add(name=b"n").attr.add(key=b"k").value.tensor.CopyFrom(inner)
    elif name == "FunctionDef":
        message.library.function.add().CopyFrom(inner)
    else:
        message, root = full("SavedModel")(), "SavedModel"
        if name == "MetaGraphDef":
            message.meta_graphs.add().CopyFrom(inner)
        else:
            saved = message.meta_graphs.add().object_graph_def.concrete_functions.add(key=b"f").value
            saved.output_signature.CopyFrom(inner)
    text = text_format.MessageToString(
        message,
        as_one_line=data.draw(st.booleans()),
        pointy_brackets=data.draw(st.booleans()),
        use_short_repeated_primitives=data.draw(st.booleans()),
        force_colon=data.draw(st.booleans()),
    )
    again = whole(text.encode(), root, data.draw(st.sampled_from([1, 7, 100, PIECE])))
    # As texts: those compare NaNs too, of which there are many.
    assert text_format.MessageToString(again) == text_format.MessageToString(message)


def test_every_field_of_every_message_is_read_as_protobuf_reads_it() -> None:
    """Each field alone, with a value of its kind, in the shortest root that has it."""
    roads: dict[str, tuple[Root, list[str]]] = {root: (root, []) for root in reversed(ROOTS)}
    waiting, checked = list(roads), 0
    while waiting:
        name = waiting.pop(0)
        root, road = roads[name]
        for field in full(name).DESCRIPTOR.fields:
            spelled: list[str]
            if field.type == field.TYPE_MESSAGE:
                inner = field.message_type.full_name.removeprefix("tfexplore.full.")
                if inner not in roads:
                    roads[inner] = (root, [*road, field.name])
                    waiting.append(inner)
                spelled = [" { }", ": < >"]
            elif field.type == field.TYPE_BYTES:
                spelled = [': "a\\"b"', ": 'x' # y\n\"z\""]
            elif field.type == field.TYPE_BOOL:
                spelled = [": true", ":t", ": 1", ": false"]
            elif field.type == field.TYPE_ENUM:
                spelled = [f":{value.name}" for value in field.enum_type.values] + [": 3", ": 0"]
            elif field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
                spelled = [": 1.5", ":-1e-3", ": .5f", ": inf", ": -Infinity", ": nan", ": 1e99", ": 7"]
            else:
                spelled = [": 0", ": 17", ": 0x1F", ": 017"]
            for value in spelled:
                text = " { ".join([*road, field.name + value]) + " }" * len(road)
                expected = text_format.Parse(text, full(root)())
                assert whole(text.encode(), root).SerializeToString() == expected.SerializeToString(), text
                checked += 1
    assert len(roads) > 60
    assert checked > 500


@pytest.mark.parametrize(
    ("field", "value", "good"),
    [
        ("i", b"9223372036854775807", True),
        ("i", b"9223372036854775808", False),
        ("i", b"-9223372036854775808", True),
        ("i", b"-9223372036854775809", False),
        ("i", b"1.0", False),
        ("i", b"08", False),
        ("i", b"1_0", False),
        ("i", b'"1"', False),
        ("i", b"9" * 1_000_000, False),
        ("f", b"01.5", False),
        ("f", b"0x10", False),
        ("f", b"9" * 1_000_000, False),
        ("b", b"yes", False),
        ("type", b"DT_NOTHING", False),
        ("type", b"99999999999", False),
        ("s", b"bare", False),
        ("s", b"{ }", False),
        ("shape", b"3", False),
        ("shape", b'"s"', False),
        ("list", b"[{ }]", False),
    ],
)
def test_values_out_of_range_are_damage_of_their_node(field: str, value: bytes, good: bool) -> None:
    text = b'node { name: "a" attr { value { %b: %b } } }\nnode { name: "b" }\n' % (field.encode(), value)
    message = read(text)
    assert names(message) == ["a" if good else "(damaged)", "b"]
    assert len(message.damage) == (0 if good else 1)
    assert all(sentence.startswith("graph.pbtxt: line 1: ") for sentence in sentences(message))


def test_strings_take_any_bytes_and_every_escape() -> None:
    every = bytes(byte for byte in range(1, 256) if byte not in b'\n"\\')
    text = b'node { name: "%b" op: "%b" device: "%b" }'
    escapes = rb"\n\r\t\a\b\f\v\"\'\?\\\0\17\377\x4\x41\XFF\u00e9\U0001F600\ud83d\ude00\0012"
    expected = b"\n\r\t\a\b\f\v\"'?\\\0\x0f\xff\x04A\xff" + "é😀😀".encode() + b"\x012"
    octal = b"".join(b"\\%03o" % byte for byte in range(256))
    for size in (1, 3, PIECE):
        node = whole(text % (every, escapes, octal), size=size).node[0]
        assert (node.name, node.op, node.device) == (every, expected, bytes(range(256)))


@given(st.lists(st.sampled_from([b"\\\\", b"\\n", b"a", b'\\"', b"'", b"\\377", b"\\x41", b"\\?", b"\\ud83d\\ude00"])))
def test_long_strings_are_cut_at_no_escape(parts: list[bytes]) -> None:
    body = b"".join(parts)
    text = b'node { name: "%b" }' % body
    expected = whole(text).node[0].name
    assert all(whole(text, size=size).node[0].name == expected for size in (1, 2, 5, 11, 12, 13))


@pytest.mark.parametrize("escape", [b"\\q", b"\\400", b"\\x", b"\\u12", b"\\U00110000", b"\\9"])
def test_escapes_that_text_format_does_not_have_are_damage(escape: bytes) -> None:
    message = read(b'node { name: "%b" }\nnode { name: "b" }' % escape)
    assert names(message) == ["(damaged)", "b"]
    assert "escape" in sentences(message)[0]


def test_an_any_that_is_spelled_out_holds_the_message() -> None:
    text = b"""collection_def {
      key: "saved_model_assets"
      value { any_list { value {
        [type.googleapis.com/tensorflow.AssetFileDef] { tensor_info { name: "x:0" } filename: "v.txt" }
      } value { type_url: "t" value: "\\001" } value { [ a.b / tensorflow . MetaGraphDef.MetaInfoDef ] : < > } } }
    }"""
    for size in (1, PIECE):
        packed = whole(text, "MetaGraphDef", size).collection_def[0].value.any_list.value
        assert packed[0].type_url == b"type.googleapis.com/tensorflow.AssetFileDef"
        assert full("AssetFileDef").FromString(packed[0].value).filename == b"v.txt"
        assert (packed[1].type_url, packed[1].value) == (b"t", b"\x01")
        assert (packed[2].type_url, packed[2].value) == (b"a.b/tensorflow.MetaGraphDef.MetaInfoDef", b"")


def test_an_any_of_an_unknown_message_is_damage_of_its_collection() -> None:
    entry = b'collection_def { key: "%b" value { any_list { value { [%b] { x: 1 } } } } }\n'
    text = b"".join(entry % (b"k", url) for url in (b"a/some.Thing", b"", b"a", b"a/tensorflow.Nothing", b"a" * 999))
    message = read(text + b"meta_info_def { tags: 'serve' }", "MetaGraphDef")
    assert len(message.damage) == 5
    assert list(lean("MetaGraphDef").FromString(message.data).meta_info_def.tags) == [b"serve"]


def test_lists_of_messages_separators_and_comments() -> None:
    text = b"node: [ { name: 'a', }, # one\n < name: 'b'; > ], node [{name:'c'}]; node: [] versions: {producer:1}"
    message = whole(text)
    assert [node.name for node in message.node] == [b"a", b"b", b"c"]
    assert message.versions.producer == 1


def test_texts_without_a_field_are_empty_messages() -> None:
    for text in (b"", b" \n\t", b"# only a comment", b"# only a comment\n\n"):
        assert read(text) == TextMessage(b"", ())


# ---- damage ----


def test_a_damaged_node_keeps_its_place_and_harms_no_other() -> None:
    text = b"""node { name: "a" }
node { name: "b" colour: 3 attr { key: "x" } }
node { name: "c" op: }
node { name: "d }
node { name: "e" }
node: 5
node { name: "f" } nonsense
node { name: "g" attr { value { i: 1 s: "2" } } }
node { name: "h" name: "i" }
node { [a/b] { } }
color: "red" size { a: [1, "}"] } tags: ["a", "b" node { name: "j" }
node { name: "k" >
node { name: "l" }
}
node { name: "m" }
versions { producer: 1 } versions { producer: 2 }
node { name: "n" }
"""
    message = read(text)
    bad = "(damaged)"
    assert names(message) == ["a", bad, bad, bad, "e", bad, "f", bad, bad, bad, "j", bad, "l", "m", "n"]
    lines = [int(sentence.split("line ")[1].split(":")[0]) for sentence in sentences(message)]
    assert sorted(set(lines)) == [2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 14, 16]
    assert lean("GraphDef").FromString(message.data).versions.producer == 1
    assert sentences(message)[0] == "graph.pbtxt: line 2: NodeDef has no field named 'colour'"


def test_a_brace_that_is_missing_harms_its_node_only() -> None:
    text = SMALL.replace(b'op: "Const"\n', b'op: "Const"\n  attr {\n')
    message = read(text)
    assert names(message) == ["(damaged)", "béc"]
    library = lean("GraphDef").FromString(message.data).library
    assert len(library.function) == 2

    text = SMALL.replace(b'node_def { name: "m" op: "Neg" input: "n:y:0" }\n', b"node_def {\n")
    text = text.replace(b"  function { signature", b"  function { # the next\n signature")
    message = read(text)
    functions = [
        full("FunctionDef").FromString(raw) for raw in lean("GraphDef").FromString(message.data).library.function[1:]
    ]
    assert [function.signature.name for function in functions] == [b"g"]
    assert names(message) == ["a", "béc"]
    assert message.damage


def test_a_damaged_signature_damages_the_function_and_a_damaged_node_of_it_only_itself() -> None:
    message = read(
        SMALL.replace(b'op: "Neg" input: "x"', b'op: Neg input: "x"').replace(b'{ name: "g" }', b"{ name: 7 }")
    )
    functions = lean("GraphDef").FromString(message.data).library.function
    first = lean("FunctionDef").FromString(functions[0])
    assert [name_of(node) for node in first.node_def] == ["(damaged)", "m"]
    assert [entry.key for entry in first.ret] == [b"y"]
    with pytest.raises(DecodeError):
        lean("FunctionHead").FromString(functions[1])
    assert [sentence.split(": ")[1] for sentence in sentences(message)] == ["line 17", "line 21"]


def test_a_text_cut_short_keeps_what_is_complete() -> None:
    text = b'saved_model_schema_version: 1\nmeta_graphs {\n  graph_def {\n    node { name: "a" }\n    node { name: "b"'
    message = read(text, "SavedModel")
    (graph,) = lean("SavedModel").FromString(message.data).meta_graphs
    assert [name_of(node) for node in graph.graph_def.node] == ["a", "(damaged)"]
    assert "line 5: the text ends before its braces are closed" in sentences(message)[0]


@pytest.mark.parametrize(
    "text",
    [
        b"this is no graph\n",
        b"<!DOCTYPE html><html></html>",
        b'{"node": []}',
        b"\0\1\2",
        b"}}}}",
        b'"',
        b"version https",
    ],
)
def test_what_is_no_such_text_is_refused_with_its_line(text: bytes) -> None:
    with pytest.raises(CorruptError, match=r"^graph.pbtxt: it is no GraphDef in text format: line 3: "):
        read(b"\n\n" + text)


def test_a_text_of_another_root_is_refused() -> None:
    with pytest.raises(CorruptError, match="SavedModel has no field named 'node'"):
        read(SMALL, "SavedModel")


def agrees_or_is_damaged(text: bytes) -> None:
    """No other error than ours; what protobuf reads is read alike."""
    try:
        data, damage = read(text)
    except CorruptError:
        data, damage = b"", (CorruptError("refused"),)
    lean("GraphDef").FromString(data)
    if not text.isascii():
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an escape that Python does not know: protobuf lets it pass
            expected = text_format.Parse(text.decode(), full("GraphDef")())
    except (text_format.ParseError, DeprecationWarning, SyntaxWarning):
        return
    assert damage == (), text
    assert full("GraphDef").FromString(data) == expected, text


def test_lists_cut_at_any_byte_give_an_error_of_ours_or_a_message() -> None:
    for size in range(len(LISTS) + 1):
        agrees_or_is_damaged(LISTS[:size])
    assert whole(LISTS) == text_format.Parse(LISTS, full("GraphDef")())


def test_a_text_cut_at_any_byte_gives_an_error_of_ours_or_a_message() -> None:
    good = names(read(SMALL))
    assert good == ["a", "béc"]
    for size in range(len(SMALL)):
        agrees_or_is_damaged(SMALL[:size])
        try:
            found = names(read(SMALL[:size]))
        except CorruptError:
            found = []
        # The last one may be cut.
        assert found[:-1] == good[: len(found)][:-1]
        assert found[-1:] in ([], ["(damaged)"], good[len(found) - 1 : len(found)])


@pytest.mark.parametrize("whole_text", [SMALL, LISTS], ids=["small", "lists"])
def test_a_text_with_any_byte_flipped_or_left_out_gives_an_error_of_ours_or_a_message(whole_text: bytes) -> None:
    for position in range(len(whole_text)):
        agrees_or_is_damaged(whole_text[:position] + whole_text[position + 1 :])
        for flip in (0x01, 0x02, 0x04, 0x10, 0x20, 0x80, 0xFF):
            text = bytearray(whole_text)
            text[position] ^= flip
            agrees_or_is_damaged(bytes(text))


@given(
    st.lists(
        st.sampled_from(
            [*SMALL.split(b" "), *LISTS.split(b" "), b"{", b"}", b"[", b"]", b'"', b"#", b"\n", b":", b"node", b"\\"]
        )
    )
)
def test_any_words_give_an_error_of_ours_or_a_message(words: list[bytes]) -> None:
    agrees_or_is_damaged(b" ".join(words))
    agrees_or_is_damaged(b"\n".join(words))


# ---- hostile texts, all of them of about a megabyte: none takes more than linear time ----


HOSTILE = {
    "opening braces": b"node " + b"{" * 1_000_000,
    "nodes in nodes": b"node { " * 150_000,
    "functions in values": b"node { attr { " + b"value { func { attr { " * 50_000,
    "closing braces": b"}" * 1_000_000,
    "a string that is not closed": b'node { name: "' + b"a" * 1_000_000,
    "strings that are not closed": b'node { name: "\n' * 70_000,
    "quotes": b"\"'" * 500_000,
    "backslashes": b'node { name: "' + b"\\" * 1_000_000,
    "escaped quotes": b'node { name: "' + b'\\"' * 500_000,
    "digits": b"version: " + b"9" * 1_000_000,
    "a long name": b"a" * 1_000_000,
    "words": b"a " * 500_000,
    "unknown fields": b"a: 1 " * 200_000,
    "unknown numbers": b"1: 2 " * 200_000,
    "unknown messages": b"a { b: 1 } " * 100_000,
    "blanks": b" " * 1_000_000,
    "blanks and colons": b"node" + b" " * 500_000 + b":" + b" " * 500_000,
    "comments": b"#\n" * 500_000,
    "one comment": b"#" * 1_000_000,
    "brackets": b"[" * 1_000_000,
    "lists": b"a: [" * 250_000,
    "a list of numbers": b"node { attr { value { list { i: [" + b"1, " * 300_000,
    "a list of wrong numbers": b"versions { bad_consumers: [" + b"x, " * 300_000,
    "separators": b"node { input: 'a' }" + b",;" * 500_000,
    "anys": b"collection_def { value { any_list { value { [" + b"a/" * 500_000,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("size", [PIECE, 1 << 22])
def test_hostile_texts_are_refused_or_damaged(name: str, size: int) -> None:
    text = HOSTILE[name]
    try:
        message = read(text, size=size)
    except CorruptError as error:
        message = TextMessage(b"", (error,))
    assert all(len(sentence) < 300 for sentence in sentences(message))
    assert message.damage or name in ("blanks", "comments", "one comment", "separators")
    assert len(message.damage) <= 101
    assert len(message.data) < 2 * len(text)
    text_root(text[:PIECE])


def test_a_text_of_which_nothing_more_can_be_made_is_given_up() -> None:
    """Each place costs a few microseconds, however small it is."""
    good = b'node { name: "a" }\n'
    for garbage in (b"}{\n", b"x{}\n", b"?\n", b"1:\n"):
        read = read_text([good + garbage * 30_000 + good], "GraphDef", path="p")
        assert len(lean("GraphDef").FromString(read.data).node) == 1
        assert "more places in the text" in str(read.damage[-1])
        assert len(read.damage) == 101
        assert "10,000 places in a row cannot be read" in str(read.damage[-2])
    # A few, or many between good ones, end nothing.
    for text, count in ((good + b"x{}\n" * 5_000 + good, 2), ((good + b"x{}\n") * 15_000, 15_000)):
        read = read_text([text], "GraphDef", path="p")
        assert len(lean("GraphDef").FromString(read.data).node) == count
        assert "in a row" not in str(read.damage)


def test_one_long_line_of_many_nodes_is_read() -> None:
    text = b" ".join(
        b'node { name: "n%d" op: "Const" attr { key: "i" value { i: %d } } }' % (i, i) for i in range(20_000)
    )
    assert len(text) > 1 << 20
    for size in (PIECE, len(text)):
        message = whole(text, size=size)
        assert len(message.node) == 20_000
        assert message.node[-1].attr[0].value.i == 19_999


def test_more_than_a_hundred_damaged_places_are_counted() -> None:
    message = read(b"node { }\n" + b"node { x: 1 }\n" * 1_000)
    assert len(message.damage) == 101
    assert sentences(message)[-1] == "graph.pbtxt: 900 more places in the text cannot be read"
    assert len(names(message)) == 1_001


def test_messages_may_lie_as_deep_as_protobuf_allows() -> None:
    def nested(depth: int) -> bytes:
        """Brackets within `list`s of functions, `depth` deep below the node."""
        return b"node { " + b"attr { value { func { " * depth + b"}}}" * depth + b"}"

    assert full("GraphDef").FromString(read(nested(33)).data) == text_format.Parse(nested(33), full("GraphDef")())
    assert "deep" in sentences(read(nested(34)))[0]


def test_reading_is_cancelled_between_pieces() -> None:
    cancel = threading.Event()
    told: list[int] = []

    def advance(size: int) -> None:
        told.append(size)
        if len(told) == 3:
            cancel.set()

    with pytest.raises(Cancelled):
        read_text([b'node { name: "a" }\n' * 50_000], "GraphDef", path="g", cancel=cancel, advance=advance)
    assert told == [PIECE] * 3


def test_advance_is_told_every_byte() -> None:
    text, told = b'node { name: "a" }\n' * 10_000, [0]
    read_text([text[:5], text[5:]], "GraphDef", path="g", advance=told.append)
    assert sum(told) == len(text)


# ---- which message a text is ----


@pytest.mark.parametrize(
    ("head", "root"),
    [
        (b'# c\n\n node {\n name: "a" }', "GraphDef"),
        (b"versions < producer: 1 >", "GraphDef"),
        (b"library: {", "GraphDef"),
        (b"version: 3 # old\n node: [{", "GraphDef"),
        (b"future_field: 'a' \"b\" node {", "GraphDef"),
        (b"future { a: [1] node { } '}' # }\n } , meta_info_def {", "MetaGraphDef"),
        (b"future: [{ a: 1 }, { }]; graph_def {", "MetaGraphDef"),
        (b"saved_model_schema_version: 1", "SavedModel"),
        (b"meta_graphs {", "SavedModel"),
        (b'model_checkpoint_path: "node { }"', None),
        (b'feature { name: "x" }', None),
        (b'{"node": {}}', None),
        (b"node 5", None),
        (b"node: 5", None),
        (b"version https://git-lfs.github.com/spec/v1", None),
        (b"<html>node {", None),
        (b"\n\x05\n\x03abc", None),
        (b"\x08\x01\x12", None),
        (b"", None),
        (b"# node {", None),
    ],
)
def test_the_root_is_told_by_the_first_fields(head: bytes, root: Root | None) -> None:
    assert text_root(head) == root


def test_binary_messages_have_no_root_as_texts() -> None:
    graph = whole(SMALL)
    meta = full("MetaGraphDef")(graph_def=graph)
    saved = full("SavedModel")(saved_model_schema_version=1, meta_graphs=[meta])
    for message in (graph, meta, saved):
        assert text_root(message.SerializeToString()) is None
    assert struct.pack("<f", 1.5) in graph.SerializeToString()
