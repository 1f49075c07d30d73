"""The language of the search: words, regular expressions, and what a thing is.

    dense kernel            both words, anywhere in the name; letters of either case, unless a word has a capital
    "a word"                a word with a space in it, or one that looks like something else
    /^dense_[0-9]+/         a regular expression (RE2); `re:…` is the same
    op:Conv2D  op:*Conv*    the op begins so; with `*` or `?` all of it looks so
    dtype:float32           the dtype of an output, likewise
    shape:[?,3]  shape:*,128  the shape: `?` is an unknown dimension, `*` any, `...` any number of them
    attr:padding=SAME  attr:padding   an attribute with that value; one whose name begins so
    Conv2D > BiasAdd > Relu the last of these ops, where it takes what the one before it puts out, and so on

All of it must hold. What is not finished (`op:`, `shape:[?,`) narrows as far as it goes: people search as they type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tfexplore.core import text
from tfexplore.core.pattern import Pattern, typed
from tfexplore.core.shapes import Shape
from tfexplore.errors import UsageError
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    from tfexplore.formats.graph_def import Node

MAX_LENGTH = 2_000
# Quoted text and brackets may hold spaces; any single character goes through, so nothing is ever tried twice.
_TOKEN = re.compile(r'(?:"[^"]*"|\[[^\]]*\]|\S)+')
_FILTERS = ("op", "dtype", "shape", "attr")
_MAX_DIGITS = 19
_ANY, _REST = "*", "..."
_THEN = ">"


class Word(NamedTuple):
    """A word of a name; folded where its case does not matter."""

    text: str
    exact: bool


class Like(NamedTuple):
    """How a name must begin, or with `*` or `?` in it look as a whole."""

    text: str
    exact: bool

    def accepts(self, name: str) -> bool:
        """Whether a name is so."""
        name = name if self.exact else name.casefold()
        return looks_like(self.text, name) if self._is_glob else name.startswith(self.text)

    def is_all_of(self, name: str) -> bool:
        """Whether a name is this and no more."""
        name = name if self.exact else name.casefold()
        return looks_like(self.text, name) if self._is_glob else name == self.text

    @property
    def _is_glob(self) -> bool:
        return "*" in self.text or "?" in self.text


class Dims(NamedTuple):
    """What a shape must look like.

    Attributes:
        dims: sizes, None for an unknown one, `*` for any, `...` for any number of dimensions.
        begins: whether more dimensions may follow: the bracket is still open.
        unknown_rank: it must be a shape of which nothing is known.
    """

    dims: tuple[int | str | None, ...]
    begins: bool = False
    unknown_rank: bool = False

    def accepts(self, shape: Shape) -> bool:
        """Whether a shape looks so."""
        if shape is None or self.unknown_rank:
            return shape is None and self.unknown_rank
        wanted = (*self.dims, _REST) if self.begins and _REST not in self.dims else self.dims
        if _REST not in wanted:
            return len(shape) == len(wanted) and all(map(_fits, wanted, shape))
        cut = wanted.index(_REST)
        head, tail = wanted[:cut], wanted[cut + 1 :]
        if len(head) + len(tail) > len(shape):
            return False
        return all(map(_fits, head, shape)) and all(map(_fits, tail, shape[len(shape) - len(tail) :]))


def _fits(wanted: int | str | None, size: int | None) -> bool:
    return wanted in (_ANY, size)


class AttrFilter(NamedTuple):
    """An attribute that a node must have; with a value where one is asked for."""

    name: Like
    value: Like | None

    def accepts(self, node: Node) -> bool:
        """Whether a node has it."""
        if self.value is None:
            return any(map(self.name.accepts, node.raw_attrs))
        from tfexplore.core import attrs

        for name in node.raw_attrs:
            if self.name.is_all_of(name):
                value = node.attr(name)
                if value is not None and self.value.is_all_of(attrs.line(value).strip('"')):
                    return True
        return False


class Value(NamedTuple):
    """Dtype and shape of something that has them."""

    dtype: int
    shape: Shape
    shape_stored: bool = True


class Facts(NamedTuple):
    """What filters look at, found when one asks; None for what a thing of its kind does not have."""

    op: str | None = None
    values: Callable[[], Iterable[Value]] | None = None
    node: Callable[[], Node] | None = None
    follows: Callable[[Sequence[Like]], bool] | None = None


class Query(NamedTuple):
    """What is looked for; everything in it must hold.

    Attributes:
        before: the ops along edges that lead to a node, the nearest first.
    """

    words: tuple[Word, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    ops: tuple[Like, ...] = ()
    dtypes: tuple[Like, ...] = ()
    shapes: tuple[Dims, ...] = ()
    attrs: tuple[AttrFilter, ...] = ()
    before: tuple[Like, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether it asks for nothing, which everything is."""
        return not any(self)

    @property
    def has_filters(self) -> bool:
        """Whether it asks for more than names."""
        return any(self[2:])

    @property
    def asks_values(self) -> bool:
        """Whether it asks for dtypes or shapes."""
        return bool(self.dtypes or self.shapes)

    def lines(self, lines: str, count: int) -> Sequence[int]:
        """The numbers of the names that fit, out of `count` visible ones as `pattern.joined` gives them."""
        numbers: Sequence[int] = range(count)
        if not count:
            return numbers
        folded = lines.casefold() if any(not word.exact for word in self.words) else ""
        for word in self.words:
            if word.text not in (lines if word.exact else folded):
                return ()
        plain_parts: list[str] = []
        folded_parts: list[str] = []
        for word in self.words:
            wanted = word.text
            if word.exact:
                parts = plain_parts = plain_parts or lines.split("\n")
            else:
                parts = folded_parts = folded_parts or folded.split("\n")
            if len(numbers) == count:
                numbers = [number for number, part in enumerate(parts) if wanted in part]
            else:
                numbers = [number for number in numbers if wanted in parts[number]]
        for pattern in self.patterns:
            if len(numbers) == count:
                numbers = pattern.lines(lines)
            elif numbers:
                plain_parts = plain_parts or lines.split("\n")
                numbers = [number for number in numbers if pattern.finds(plain_parts[number])]
        return numbers

    def accepts(self, facts: Facts) -> bool:
        """Whether the filters hold; the cheap ones first, and nothing is read for those that are not there."""
        op = facts.op
        if self.ops and (op is None or not all(like.accepts(op) for like in self.ops)):
            return False
        if self.asks_values and not self._accepts_values(facts):
            return False
        if self.attrs:
            if facts.node is None:
                return False
            node = facts.node()
            if not all(wanted.accepts(node) for wanted in self.attrs):
                return False
        return not self.before or (facts.follows is not None and facts.follows(self.before))

    def _accepts_values(self, facts: Facts) -> bool:
        if facts.values is None:
            return False
        return any(
            all(like.accepts(dtypes.name(value.dtype)) for like in self.dtypes)
            and (not self.shapes or (value.shape_stored and all(dims.accepts(value.shape) for dims in self.shapes)))
            for value in facts.values()
        )


def parse(query: str) -> Query:
    """What a person typed.

    Raises:
        UsageError: a regular expression or a shape is none; says what was expected.
    """
    if len(query) > MAX_LENGTH:
        raise UsageError(f"a search of over {MAX_LENGTH:,} characters is not taken")
    words: list[Word] = []
    patterns: list[Pattern] = []
    found: dict[str, list[str]] = {name: [] for name in _FILTERS}
    tokens, chain = _take_chain(_TOKEN.findall(query))
    for token in tokens:
        name, colon, rest = token.partition(":")
        if colon and name in found:
            if rest:
                found[name].append(rest)
        elif colon and name == "re":
            if rest:
                patterns.append(_pattern(rest))
        elif len(token) > 2 and token[0] == token[-1] == "/":
            patterns.append(_pattern(token[1:-1]))
        else:
            plain = token[1:-1] if len(token) > 1 and token[0] == token[-1] == '"' else token
            if plain:
                words.append(_word(plain))
    return Query(
        tuple(words),
        tuple(patterns),
        tuple(map(_like, [*found["op"], *chain[-1:]])),
        tuple(map(_like, found["dtype"])),
        tuple(map(_dims, found["shape"])),
        tuple(map(_attr, found["attr"])),
        tuple(map(_like, reversed(chain[:-1]))),
    )


def _take_chain(tokens: list[str]) -> tuple[list[str], list[str]]:
    """The tokens without those of `A > B > C`, and the ops of that; one that is not finished ends earlier."""
    places = [place for place, token in enumerate(tokens) if token == _THEN]
    if not places:
        return tokens, []
    taken = {place + step for place in places for step in (-1, 0, 1)}
    ops = [tokens[place].removeprefix("op:") for place in sorted(taken) if 0 <= place < len(tokens)]
    rest = [token for place, token in enumerate(tokens) if place not in taken]
    return rest, [op for op in ops if op and op != _THEN]


def has_capital(word: str) -> bool:
    """Whether a word has an upper-case letter, which makes its case matter."""
    return any(map(str.isupper, word))


def _word(word: str) -> Word:
    exact = has_capital(word)
    word = typed(word)
    return Word(word if exact else word.casefold(), exact)


def _like(word: str) -> Like:
    exact = has_capital(word)
    return Like(word if exact else word.casefold(), exact)


def _pattern(expression: str) -> Pattern:
    # `\D` and `\W` are no capitals that somebody means.
    capital = has_capital(re.sub(r"\\.", "", expression))
    return Pattern(expression, what="search", ignore_case=not capital)


def _attr(wanted: str) -> AttrFilter:
    name, equals, value = wanted.partition("=")
    value = value.strip('"')
    return AttrFilter(_like(name), _like(value) if equals and value else None)


def _dims(wanted: str) -> Dims:
    if wanted == "unknown":
        return Dims((), unknown_rank=True)
    begins = wanted.startswith("[") and not wanted.endswith("]")
    inside = wanted.removeprefix("[").removesuffix("]")
    parts = [part.strip() for part in inside.split(",")]
    if begins or not parts[-1]:
        parts = [part for part in parts if part]
    dims: list[int | str | None] = []
    for part in parts:
        if part in (_ANY, _REST):
            dims.append(part)
        elif part == "?":
            dims.append(None)
        elif part.isascii() and part.isdigit() and len(part) <= _MAX_DIGITS:
            dims.append(int(part))
        elif not begins or set(part) != {"."}:
            raise UsageError(f"shape:{text.visible(wanted)}: a dimension is a number, ? or *, not {text.label(part)}")
    if dims.count(_REST) > 1:
        raise UsageError(f"shape:{text.visible(wanted)}: `...` can stand there once")
    return Dims(tuple(dims), begins)


def looks_like(glob: str, name: str) -> bool:
    """Whether a name looks like a glob, in which `*` is any text and `?` one character; at most len × len steps."""
    at = place = 0
    star, mark = -1, 0
    while at < len(name):
        if place < len(glob) and glob[place] == "*":
            star, mark = place, at
            place += 1
        elif place < len(glob) and glob[place] in ("?", name[at]):
            at += 1
            place += 1
        elif star >= 0:
            mark += 1
            at, place = mark, star + 1
        else:
            return False
    return all(rest == "*" for rest in glob[place:])
