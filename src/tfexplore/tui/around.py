"""The neighbourhood picture: which node stands in the middle, and where the cursor is. No widgets."""

from __future__ import annotations

from collections.abc import Callable

from tfexplore.core import neighbourhood, text
from tfexplore.core.neighbourhood import Edge, Neighbours, Row
from tfexplore.core.rows import argument_subject
from tfexplore.core.subjects import NodeSubject, Subject
from tfexplore.errors import Cancelled, ModelError
from tfexplore.formats.graph_def import split_input
from tfexplore.loader import Loader

_CHANNEL = "around"
PRODUCERS, CENTRE, CONSUMERS = -1, 0, 1


class Around:
    """A node and its neighbours.

    Args:
        loader: reads for it.
        subject: the node in the middle.
        tell: called in the event loop after a change.

    Attributes:
        subject: the node in the middle.
        found: its neighbours; None while they are read.
        rows: the picture.
        two_levels: whether it shows what lies beyond the neighbours.
        side: where the cursor is: among the producers, on the node, among the consumers.
        row: the line of the cursor, where it is on a side.
        problem: why there is no picture.
    """

    def __init__(self, loader: Loader, subject: NodeSubject, tell: Callable[[], None]) -> None:
        self.subject = subject
        self.found: Neighbours | None = None
        self.rows: list[Row] = []
        self.two_levels = False
        self.side, self.row = CENTRE, 0
        self.problem = ""
        self._loader = loader
        self._tell = tell
        self._before: list[tuple[NodeSubject, int, int]] = []
        self._drawn_for: tuple[int, int, bool] | None = None

    async def read(self) -> None:
        """Reads the neighbours of the node in the middle; a newer call makes an older one stale."""
        subject = self.subject
        try:
            # In a large graph each neighbour's own take time: the first level does not wait for the second.
            found = await self._loader.tasks.run(
                lambda context: neighbourhood.neighbours(subject.graph, subject.position, cancel=context.cancel),
                channel=_CHANNEL,
            )
            self._show(subject, found)
            self._show(
                subject,
                await self._loader.tasks.run(
                    lambda context: neighbourhood.grown(subject.graph, found, context.cancel), channel=_CHANNEL
                ),
            )
        except Cancelled:
            return
        except ModelError as error:
            self.problem = text.visible(str(error))
            self._tell()

    def _show(self, subject: NodeSubject, found: Neighbours) -> None:
        if self.subject is subject:
            self.found, self._drawn_for, self.problem = found, None, ""
            self._tell()

    def draw(self, width: int, height: int, *, ascii_only: bool = False) -> None:
        """Makes the picture: of two levels where they fit into the height."""
        if self.found is None or self._drawn_for == (width, height, ascii_only):
            return
        self._drawn_for = width, height, ascii_only
        at = _edge_of(self.rows[self.row]) if self.side != CENTRE and self.row < len(self.rows) else None
        rows = neighbourhood.picture_of_two(self.found, width, ascii_only=ascii_only)
        self.two_levels = len(rows) <= height
        if not self.two_levels:  # one column is the scroll bar's, where it does not fit either
            rows = neighbourhood.picture(self.found, width, ascii_only=ascii_only)
            if len(rows) > height:
                rows = neighbourhood.picture(self.found, width - 1, ascii_only=ascii_only)
        self.rows = rows
        if self.side != CENTRE:  # the cursor stays on its edge
            lines = self._lines(self.side)
            same = [line for line in lines if _edge_of(self.rows[line]) == at]
            self.row = (same or [line for line in lines if line == self.row] or lines or [0])[0]
            self.side = self.side if lines else CENTRE

    @property
    def beside(self) -> bool:
        """Whether producers and consumers stand beside the node."""
        return any(row.box is not None for row in self.rows)

    @property
    def cursor_line(self) -> int:
        """The line that must be seen."""
        if self.side != CENTRE:
            return self.row
        producers = self._lines(PRODUCERS)
        return 0 if self.beside or not producers else min(producers[-1] + 2, len(self.rows) - 1)

    def _lines(self, side: int) -> list[int]:
        return [number for number, row in enumerate(self.rows) if _of(row, side) is not None]

    @property
    def edge(self) -> Edge | None:
        """The edge of the cursor; None on the node itself."""
        if self.found is None or self.side == CENTRE or self.row >= len(self.rows):
            return None
        row = self.rows[self.row]
        number = _of(row, self.side)
        if number is None:
            return None
        edge = (self.found.producers if self.side == PRODUCERS else self.found.consumers)[number]
        return edge if row.further is None else edge.further[row.further]

    @property
    def at_cursor(self) -> Subject | None:
        """What the cursor is on: a node, or an argument of the function; None where the name leads nowhere."""
        edge, centre = self.edge, self.subject
        if edge is None:
            return centre
        if edge.node is not None:
            return NodeSubject(centre.meta_graph, centre.graph, centre.function, edge.node)
        if edge.argument and centre.function is not None:
            return argument_subject(centre.meta_graph, centre.function, split_input(edge.name)[0])
        return None

    # -- moving --

    def sideways(self, to: int) -> bool:
        """Moves along an edge: towards the producers (-1) or the consumers (1); tells whether it moved."""
        if self.side == -to:
            at = self.rows[self.row]
            if at.further is not None:  # back to the neighbour that it lies beyond
                wanted = _edge_of(at._replace(further=None))
                found = [line for line in self._lines(self.side) if _edge_of(self.rows[line]) == wanted]
                return self._go(self.side, found[0]) if found else False
            return self._go(CENTRE, 0)
        lines = self._lines(to)
        if self.side == CENTRE:
            near = [line for line in lines if self.rows[line].further is None]
            return self._go(to, near[-1] if to == PRODUCERS and not self.beside else near[0]) if near else False
        at = self.rows[self.row]
        beyond = [
            line
            for line in lines
            if at.further is None and self.rows[line].further is not None and _of(self.rows[line], to) == _of(at, to)
        ]
        return self._go(to, beyond[0]) if beyond else False

    def along(self, by: int) -> bool:
        """Moves up (-1) or down (1) between edges; tells whether it moved."""
        before, after = self._lines(PRODUCERS), self._lines(CONSUMERS)
        if self.beside:
            places = [(self.side, line) for line in self._lines(self.side)]
            if self.side == CENTRE:
                return self.sideways(PRODUCERS) or self.sideways(CONSUMERS)
        else:
            places = [(PRODUCERS, line) for line in before] + [(CENTRE, 0)] + [(CONSUMERS, line) for line in after]
        here = (self.side, self.row if self.side != CENTRE else 0)
        number = places.index(here) + by if here in places else 0
        if not 0 <= number < len(places):
            return False
        return self._go(*places[number])

    def click(self, line: int, cell: int) -> None:
        """Moves to the edge that was clicked."""
        if line >= len(self.rows):
            return
        row = self.rows[line]
        left, right = row.left is not None, row.right is not None
        if row.box is not None:
            left, right = left and cell < row.box[0], right and cell >= row.box[1]
        self._go(PRODUCERS if left else CONSUMERS if right else CENTRE, line if left or right else 0)

    def _go(self, side: int, row: int) -> bool:
        self.side, self.row = side, row
        return True

    # -- another node --

    def recentre(self) -> bool:
        """Puts the node of the cursor in the middle; tells whether there was one. `read` reads its neighbours."""
        wanted = self.at_cursor
        if not isinstance(wanted, NodeSubject) or self.side == CENTRE:
            return False
        self._before.append((self.subject, self.side, self.row))
        self.subject, self.side, self.row = wanted, CENTRE, 0
        return True

    def back(self) -> bool:
        """Goes back to the node that was in the middle before; tells whether there was one."""
        if not self._before:
            return False
        self.subject, self.side, self.row = self._before.pop()
        return True


def _edge_of(row: Row) -> Row:
    """Which edges a line ends, whatever it looks like."""
    return row._replace(text="", box=None)


def _of(row: Row, side: int) -> int | None:
    return row.left if side == PRODUCERS else row.right if side == CONSUMERS else None
