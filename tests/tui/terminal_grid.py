"""A terminal small enough to be read: cells with their looks, after the sequences that drawing uses."""

from __future__ import annotations

import re

from rich.cells import cell_len

_TOKEN = re.compile(r"\x1b\[(?P<parameters>[0-9;]*)(?P<final>[A-Za-z])|(?P<newline>\n)|(?P<text>[^\x1b\n])")
_SHOWN_BY_BLANKS = {"4", "7", "9"}


class Grid:
    """Columns and rows of cells; a cell is its text ("" behind a wide one) and its look."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.cells = [[("?", ((), "", ""))] * width for _ in range(height)]
        self.x = self.y = 0
        self.look: tuple[tuple[str, ...], str, str] = ((), "", "")
        self.received = 0

    def feed(self, output: str) -> None:
        self.received += len(output.encode())
        place = 0
        while place < len(output):
            token = _TOKEN.match(output, place)
            assert token is not None, output[place : place + 20]
            place = token.end()
            if token["text"] is not None:
                self._put(token["text"])
            elif token["newline"] is not None:
                self.y = min(self.y + 1, self.height - 1)
            else:
                self._control(token["parameters"], token["final"])

    def _control(self, parameters: str, final: str) -> None:
        if final == "H":
            self.y, self.x = (int(number or 1) - 1 for number in parameters.split(";"))
        elif final == "C":
            self.x += int(parameters or 1)
        else:
            assert final == "m", final
            self._dress(parameters.split(";"))

    def _dress(self, codes: list[str]) -> None:
        attributes, colour, ground = list(self.look[0]), self.look[1], self.look[2]
        while codes:
            code = codes.pop(0)
            if code in ("", "0"):
                attributes, colour, ground = [], "", ""
            elif code in ("38", "48"):
                count = 1 if codes[0] == "5" else 3
                value = ";".join([code, codes.pop(0), *(codes.pop(0) for _ in range(count))])
                colour, ground = (value, ground) if code == "38" else (colour, value)
            elif code == "39":
                colour = ""
            elif code == "49":
                ground = ""
            elif len(code) == 1:
                attributes.append(code)
            elif code[0] in "39" and code != "39":
                colour = code
            else:
                ground = code
        self.look = tuple(sorted(set(attributes))), colour, ground

    def _put(self, char: str) -> None:
        row, cells = self.cells[self.y], cell_len(char)
        if not cells:
            place = self.x - 1
            while row[place][0] == "":
                place -= 1
            row[place] = (row[place][0] + char, row[place][1])
            return
        for place in (self.x, self.x + cells):
            if place < self.width and row[place][0] == "":  # half of a wide one is overwritten
                row[place] = (" ", row[place][1])
                if row[place - 1][0] != "":
                    row[place - 1] = (" ", row[place - 1][1])
        row[self.x] = (char, self.look)
        if cells == 2:
            row[self.x + 1] = ("", self.look)
        self.x += cells

    def seen(self) -> list[list[tuple[str, object]]]:
        """The cells as a person sees them: of a blank only its background, where nothing underlines it."""
        return [
            [
                (text, ((), "", look[2]) if text == " " and not _SHOWN_BY_BLANKS.intersection(look[0]) else look)
                for text, look in row
            ]
            for row in self.cells
        ]
