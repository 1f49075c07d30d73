"""Text that comes from a model, made visible without loss, and fitted into cells."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfexplore.core import text

_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|([nrt\\]))")
_SHORT = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}

HOSTILE = [
    b"", b"\x1b]0;owned\x07", b"\x1b[2J", b"a\nb\r\tc", b"\\x1b", b"\\", b"\\\\n", b"\xff\xfe", b"\xc3\x28",
    b"\x80\x9b", "\u202eevil\u202c".encode(), "\u2066\u2069\u200b\u200e\u200f\u061c\ufeff".encode(),
    "\u0085\u009b\u2028\u2029".encode(), b"[/]", b"[bold]", b"\x7f", b"\x00", "\U000e0001".encode(),
    "日本語/é".encode(), b"\xed\xa0\x80", b"x" * 10_000,
]  # fmt: skip

names = st.one_of(
    st.sampled_from(HOSTILE),
    st.binary(max_size=40),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40).map(lambda found: found.encode()),
    st.text(alphabet="\\nrtxuU0123456789abcdef\n\x1b", max_size=20).map(lambda found: found.encode()),
).map(text.decode)


def unescape(shown: str) -> str:
    """What `visible` was given."""

    def one(found: re.Match[str]) -> str:
        byte, short, long, letter = found.groups()
        if letter is not None:
            return _SHORT[letter]
        if byte is not None:
            code = int(byte, 16)
            return chr(code if code < 0x80 else 0xDC00 + code)
        return chr(int(short or long, 16))

    return _ESCAPE.sub(one, shown)


@given(st.one_of(st.sampled_from(HOSTILE), st.binary(max_size=60)))
def test_any_bytes_become_a_name_and_come_back(raw: bytes) -> None:
    name = text.decode(raw)
    assert text.encode(name) == raw
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        assert not text.is_utf8(name)
    else:
        assert text.is_utf8(name)


@given(names)
def test_visible_text_is_printable_and_can_be_read_back(name: str) -> None:
    shown = text.visible(name)
    assert all(character.isprintable() for character in shown)
    assert unescape(shown) == name
    assert text.label(name).isprintable()
    assert text.label(name)


@given(names)
def test_a_name_comes_back_from_how_it_is_shown(name: str) -> None:
    assert text.stored(text.visible(name)) == name


@pytest.mark.parametrize("shown", ["\\", "\\q", "\\x1", "\\Uffffffff", "a/b\\"])
def test_what_is_no_escape_stands_for_itself(shown: str) -> None:
    assert text.stored(shown) == shown


@given(names, names)
def test_no_two_names_look_alike(one: str, other: str) -> None:
    assert (text.visible(one) == text.visible(other)) is (one == other)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"dense/kernel", "dense/kernel"),
        ("café/日本".encode(), "café/日本"),
        (b"\x1b[31m", "\\x1b[31m"),
        (b"a\nb", "a\\nb"),
        (b"a\\nb", "a\\\\nb"),
        (b"\xff", "\\xff"),
        ("\xff".encode(), "ÿ"),
        ("\u0085".encode(), "\\u0085"),
        (b"\x85", "\\x85"),
        ("\u202e".encode(), "\\u202e"),
        ("\U000e0001".encode(), "\\U000e0001"),
        (b"[/]", "[/]"),
    ],
)
def test_how_it_looks(raw: bytes, shown: str) -> None:
    assert text.visible(text.decode(raw)) == shown


def test_an_empty_name_is_seen() -> None:
    assert text.label("") == '""'
    assert text.visible("") == ""


# -- cells --

shown_names = names.map(text.visible)


@given(shown_names, st.integers(0, 50))
def test_shortened_text_fits(shown: str, cells: int) -> None:
    cut = text.shorten(shown, cells)
    assert text.width(cut) <= cells
    if text.width(shown) <= cells:
        assert cut == shown
    elif cells:
        assert text.ELLIPSIS in cut


@given(st.text(alphabet="abc/_0123", min_size=8, max_size=40), st.integers(2, 7))
def test_shortened_text_keeps_its_end(shown: str, cells: int) -> None:
    head, _, tail = text.shorten(shown, cells).partition(text.ELLIPSIS)
    assert tail
    assert shown.endswith(tail)
    assert shown.startswith(head)
    assert len(head) + 1 + len(tail) == cells


@given(shown_names, st.integers(0, 50))
def test_what_is_taken_is_the_longest_beginning_that_fits(shown: str, cells: int) -> None:
    taken = text.take(shown, cells)
    assert shown.startswith(taken)
    assert text.width(taken) <= cells
    if taken != shown:
        assert text.width(shown[: len(taken) + 1]) > cells


def test_wide_and_combining_characters_take_their_cells() -> None:
    assert text.width("日本") == 4
    assert text.width("e\u0301") == 1
    assert text.shorten("日本語日本語", 7) == "日…本語"
    assert text.take("日本", 3) == "日"


# -- numbers --


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0 B"),
        (964, "964 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (5120, "5.0 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (13_002_342, "12.4 MiB"),
        (2**30, "1.0 GiB"),
        (2**40, "1.0 TiB"),
        (2**50, "1.0 PiB"),
        (2**60, "1.0 EiB"),
        (3 * 2**59, "1.5 EiB"),
    ],
)
def test_sizes(number: int, shown: str) -> None:
    assert text.size(number) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (964, "964"),
        (9_999, "9,999"),
        (12_300, "12.3 K"),
        (999_949, "999.9 K"),
        (999_999, "1.0 M"),
        (5_100_000, "5.1 M"),
        (999_999_999, "1.0 G"),
        (7_240_000_000, "7.2 G"),
    ],
)
def test_short_counts(number: int, shown: str) -> None:
    assert text.short_count(number) == shown


@pytest.mark.parametrize("number", [10**20, 2**2000, 2**20_000], ids=["10**20", "2**2000", "2**20000"])
def test_a_number_that_no_float_holds_is_still_text(number: int) -> None:
    # The elements of a shape with many large dimensions.
    for show in (text.size, text.short_count, text.count):
        assert show(number)
    assert text.plural(number, "node")


def test_words_with_numbers() -> None:
    assert text.count(1_234_567) == "1,234,567"
    assert text.plural(1, "node") == "1 node"
    assert text.plural(1043, "node") == "1,043 nodes"
    assert text.plural(0, "entry", "entries") == "0 entries"
