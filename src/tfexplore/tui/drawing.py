"""What the terminal shows, cell by cell, so that only what is another cell now is sent to it.

Textual sends a changed region whole, each piece with all of its colours: 8 KB for a screenful of rows that scroll by
one. On a line of 20 KB/s that is half a second a key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

if TYPE_CHECKING:
    from rich.console import Console

# So many cells that stay are sent again rather than stepped over: a step takes as many bytes.
_GAP = 4
# Underline, reverse, strike and the like, which a blank shows too.
_ON_BLANKS = frozenset({"4", "5", "6", "7", "9", "21", "53"})
_MAX_LOOKS = 4096

Look = tuple[tuple[str, ...], str, str]
"""Attributes, foreground and background as parameters of an SGR sequence; the terminal's own are ""."""
_PLAIN: Look = ((), "", "")


class Picture:
    """The cells of one terminal; those that it is not known to show have None.

    A cell is its text and the number of its look. Text that is not one character a cell, such as CJK or combining
    marks, is one piece that fills several cells: all but the first of them have "".
    """

    def __init__(self) -> None:
        self._size = (0, 0)
        self._texts: list[list[str | None]] = []
        self._looks: list[list[int]] = []
        self._numbers: dict[Look, int] = {_PLAIN: 0}
        self._known: list[Look] = [_PLAIN]
        self._of_style: dict[tuple[Style | None, ColorSystem], tuple[int, int]] = {}
        self._steps: dict[tuple[int, int, bool], tuple[str, int]] = {}

    def forget(self) -> None:
        """The terminal may show anything now: everything is sent anew."""
        self._size = (0, 0)

    def difference(self, update: LayoutUpdate | ChopsUpdate, console: Console, size: tuple[int, int]) -> str:
        """What to send so that the terminal, `size` columns and rows, shows an update; remembers that it does."""
        if size != self._size or len(self._known) > _MAX_LOOKS:
            self._start(size)
        system = console._color_system or ColorSystem.TRUECOLOR
        out = _Writer(self)
        width, height = size
        for y, x, strips in _pieces(update):
            if not 0 <= y < height:
                continue
            texts, looks = self._cells(strips, system)
            if x < 0 or x + len(texts) > width:
                cut = max(0, -x), max(0, width - x)
                texts, looks, x = texts[cut[0] : cut[1]], looks[cut[0] : cut[1]], max(0, x)
            if texts:
                self._draw(out, y, x, texts, looks)
        return out.ended()

    def _start(self, size: tuple[int, int]) -> None:
        width, height = self._size = size
        self._texts = [[None] * width for _ in range(height)]
        self._looks = [[0] * width for _ in range(height)]
        self._numbers, self._known = {_PLAIN: 0}, [_PLAIN]
        self._of_style.clear()
        self._steps.clear()

    # -- cells --

    def _cells(self, strips: Iterable[Strip], system: ColorSystem) -> tuple[list[str | None], list[int]]:
        texts: list[str | None] = []
        looks: list[int] = []
        for strip in strips:
            for segment in strip:
                if segment.control:
                    continue
                text = segment.text
                look, blank = self._look(segment.style, system)
                if text.isascii() or (cell_len(text) == len(text) and all(map(_is_one_cell, text))):
                    texts.extend(text)
                    looks.extend([blank if char == " " else look for char in text])
                elif cells := cell_len(text):
                    texts += [text, *[""] * (cells - 1)]
                    looks += [look] * cells
        return texts, looks

    def _look(self, style: Style | None, system: ColorSystem) -> tuple[int, int]:
        """The look of text in a style, and that of a blank in it."""
        found = self._of_style.get((style, system))
        if found is None:
            look = _look_of(style, system)
            blank = look if _ON_BLANKS.intersection(look[0]) else ((), "", look[2])
            found = self._of_style[style, system] = self._number(look), self._number(blank)
        return found

    def _number(self, look: Look) -> int:
        number = self._numbers.setdefault(look, len(self._known))
        if number == len(self._known):
            self._known.append(look)
        return number

    # -- drawing --

    def _draw(self, out: _Writer, y: int, x: int, texts: list[str | None], looks: list[int]) -> None:
        old_texts, old_looks = self._texts[y], self._looks[y]
        end = x + len(texts)
        if old_texts[x:end] == texts and old_looks[x:end] == looks:
            return
        runs = list(_runs(old_texts[x:end], old_looks[x:end], texts, looks))
        # A piece of which a part is overwritten is gone as a whole.
        for at in (x, end):
            if at < len(old_texts) and old_texts[at] == "":
                first = at
                while first > 0 and old_texts[first] == "":
                    first -= 1
                last = at
                while last < len(old_texts) and old_texts[last] == "":
                    last += 1
                old_texts[first:last] = [None] * (last - first)
        old_texts[x:end], old_looks[x:end] = texts, looks
        for start, stop in runs:
            out.move(x + start, y)
            for place in range(start, stop):
                text = texts[place]
                if text:
                    alone = len(text) == 1 and (place + 1 == len(texts) or texts[place + 1] != "")
                    out.write(text, looks[place], x + place, y, alone)

    def step(self, old: int, new: int, is_blank: bool) -> tuple[str, int]:
        """The sequence that leads from one look to another, and the look that the terminal has then."""
        found = self._steps.get((old, new, is_blank))
        if found is None:
            found = self._steps[old, new, is_blank] = self._step(self._known[old], self._known[new], is_blank)
        return found

    def _step(self, old: Look, new: Look, is_blank: bool) -> tuple[str, int]:
        if is_blank and not _ON_BLANKS.intersection(old[0]) and not new[0]:
            new = old[0], old[1], new[2]  # what a blank does not show stays as it is
        if new == old:
            return "", self._number(new)
        if not set(old[0]) <= set(new[0]):
            return f"\x1b[{';'.join(['0', *new[0], *filter(None, new[1:])])}m", self._number(new)
        codes = [code for code in new[0] if code not in old[0]]
        if new[1] != old[1]:
            codes.append(new[1] or "39")
        if new[2] != old[2]:
            codes.append(new[2] or "49")
        return f"\x1b[{';'.join(codes)}m", self._number(new)


class _Writer:
    """Collects what is sent: moves of the cursor, looks and text, each only where it is another."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._parts: list[str] = []
        self._x: int | None = None
        self._y: int | None = None
        self._look = 0

    def move(self, x: int, y: int) -> None:
        """Moves the cursor, counted from 0."""
        if y == self._y and self._x is not None and x >= self._x:
            steps = x - self._x
            if steps:
                self._parts.append(f"\x1b[{steps}C" if steps > 1 else "\x1b[C")
        else:
            self._parts.append(f"\x1b[{y + 1};{x + 1}H")
        self._x, self._y = x, y

    def write(self, text: str, look: int, x: int, y: int, alone: bool) -> None:
        """Writes the text of one cell (`alone`), or a piece that fills several, where the cursor has come to."""
        if self._x is None:
            self._parts.append(f"\x1b[{y + 1};{x + 1}H")
            self._x = x
        sequence, self._look = self._picture.step(self._look, look, text == " ")
        self._parts += (sequence, text) if sequence else (text,)
        # Terminals do not agree on how wide a piece is.
        self._x = self._x + 1 if alone else None

    def ended(self) -> str:
        """All of it; the terminal has its own look again."""
        if self._look:
            self._parts.append("\x1b[0m")
        return "".join(self._parts)


def _pieces(update: LayoutUpdate | ChopsUpdate) -> Iterator[tuple[int, int, Iterable[Strip]]]:
    """Line, column and strips of each piece of an update, as Textual sends them."""
    if isinstance(update, LayoutUpdate):
        for y, strips in enumerate(update.strips, update.region.y):
            yield y, update.region.x, strips
        return
    for y, start, stop in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if strip is None or x > stop or end <= start:
                continue
            yield y, x, (strip if end <= stop else strip.crop(0, stop - x),)


def _runs(
    old_texts: list[str | None], old_looks: list[int], texts: list[str | None], looks: list[int]
) -> Iterator[tuple[int, int]]:
    """The cells from `start` to `stop` that have to be sent: those that are others now, and what lies just between."""
    start = stop = -1
    for place in range(len(texts)):
        if old_texts[place] == texts[place] and old_looks[place] == looks[place]:
            continue
        if place < stop:
            continue
        first, last = place, place + 1
        while first > 0 and texts[first] == "":
            first -= 1
        while last < len(texts) and texts[last] == "":
            last += 1
        if start < 0:
            start = first
        elif first - stop > _GAP:
            yield start, stop
            start = first
        stop = last
    if start >= 0:
        yield start, stop


_ONE_CELL: dict[str, bool] = {}


def _is_one_cell(char: str) -> bool:
    found = _ONE_CELL.get(char)
    if found is None:
        if len(_ONE_CELL) > _MAX_LOOKS:
            _ONE_CELL.clear()
        found = _ONE_CELL[char] = cell_len(char) == 1
    return found


def _look_of(style: Style | None, system: ColorSystem) -> Look:
    if style is None or not style:
        return _PLAIN
    colours = []
    for colour, foreground in ((style.color, True), (style.bgcolor, False)):
        codes = ";".join(colour.downgrade(system).get_ansi_codes(foreground)) if colour is not None else ""
        colours.append("" if codes in ("39", "49") else codes)
    attributes = Style(
        bold=style.bold,
        dim=style.dim,
        italic=style.italic,
        underline=style.underline,
        blink=style.blink,
        blink2=style.blink2,
        reverse=style.reverse,
        conceal=style.conceal,
        strike=style.strike,
        underline2=style.underline2,
        frame=style.frame,
        encircle=style.encircle,
        overline=style.overline,
    )._make_ansi_codes(system)
    return tuple(filter(None, attributes.split(";"))), colours[0], colours[1]


class Difference(CompositorUpdate):
    """An update as Textual's application sends it, of which only what is new is sent."""

    def __init__(self, update: LayoutUpdate | ChopsUpdate, picture: Picture, size: tuple[int, int]) -> None:
        self._update = update
        self._picture = picture
        self._size = size

    def render_segments(self, console: Console) -> str:
        """See `CompositorUpdate`."""
        return self._picture.difference(self._update, console, self._size)
