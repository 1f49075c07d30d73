"""The flat lists of one graph and its checkpoint: which is shown, in which order, where the cursor stands in each."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from tfexplore.core import text
from tfexplore.core.items import Item
from tfexplore.core.subjects import (
    ArgumentSubject,
    KeySubject,
    NodeSubject,
    NoteSubject,
    OpSubject,
    Subject,
    VariableSubject,
)
from tfexplore.errors import Cancelled, ModelError
from tfexplore.loader import Loader, Progress
from tfexplore.tui.topics import Topic

if TYPE_CHECKING:
    from tfexplore.core.checkpoint import Checkpoint
    from tfexplore.core.lists import FlatList
    from tfexplore.core.meta_graph import MetaGraph

NODES, OPS, TENSORS, VARIABLES, KEYS = "nodes", "ops", "tensors", "variables", "keys"
PAGE = 100
# Pages of rows and orders of lists that are kept; those that were not looked at for longest go first.
_MAX_PAGES = 30
_MAX_LISTS = 4
# The cursor among the nodes of one op.
_ON_THE_WAY = "nodes of an op"
# From asking for a list to saying so, in seconds.
_SLOW = 0.15

_EMPTY = {
    NODES: "No nodes: this graph is empty. t goes back to the tree, whose notes may tell why.",
    OPS: "No ops: this graph has no nodes. t goes back to the tree, whose notes may tell why.",
    TENSORS: "No tensors: no node of this graph puts anything out. < shows the ops, t the tree.",
    VARIABLES: "No variables: all values are constants of the graph. / finds them with op:Const.",
    KEYS: "No keys: this checkpoint is empty. t goes back to the tree, whose notes may tell why.",
}
_CANCELLED = "Reading was cancelled. < and > choose a list, s reads this one in another order, t goes back to the tree."


class Owner(NamedTuple):
    """Whose lists they are: of a function (with its MetaGraph), of a MetaGraph and its checkpoint, of a checkpoint."""

    meta_graph: MetaGraph | None
    checkpoint: Checkpoint | None
    function: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The lists that it has."""
        found: tuple[str, ...] = ()
        if self.meta_graph is not None:
            found = (NODES, OPS, TENSORS)
            if self.function is None:
                found += (VARIABLES,)
        return found + ((KEYS,) if self.checkpoint is not None and self.function is None else ())


class _Way(NamedTuple):
    """From the list of ops to the nodes of one of them."""

    subject: OpSubject
    ops: FlatList


class Lists:
    """The flat lists of one owner.

    Args:
        owner: whose; at least one list.
        loader: reads for it.
        tell: called in the event loop after a change.
        say: shows what is going on, nothing at its end.

    Attributes:
        name: the list that is looked at.
        rows: its rows; None while they are read, or where they cannot be.
        counts: how many rows each list has, where that is known.
        problem: why there are no rows; empty where there are.
        reading: whether the list is being read.
    """

    def __init__(self, owner: Owner, loader: Loader, tell: Callable[[Topic], None], say: Callable[[str], None]) -> None:
        self.owner = owner
        self.names = owner.names
        self.name = self.names[0]
        self.rows: FlatList | None = None
        self.counts: dict[str, int] = {}
        self.problem = ""
        self.reading = False
        self._loader = loader
        self._tell = tell
        self._say = say
        self._said = False  # whether it says that it reads
        self._number = 0  # how often a list was gone to
        self._sorts: dict[str, str] = {}
        self._cursors: dict[str, int] = {}
        self._made: OrderedDict[tuple[str, str], FlatList] = OrderedDict()
        self._way: _Way | None = None
        self._pages: OrderedDict[int, list[Item]] = OrderedDict()
        self._reading: set[tuple[int, int]] = set()

    # -- which --

    @property
    def op(self) -> str | None:
        """The op whose nodes are shown, on the way from the list of ops."""
        return self._way.subject.op if self._way is not None else None

    @property
    def order(self) -> str:
        """How the rows are sorted, in words."""
        sort = self.rows.sort if self.rows is not None else ""
        return {"": "", "plain": "in plain order", "file": "in the file's order"}.get(sort, f"by {sort}")

    @property
    def can_sort(self) -> bool:
        """Whether there is another order."""
        return self._way is None and (self.rows is None or len(self.rows.sorts) > 1)

    async def open(self) -> None:
        """Reads the list that is looked at, where that has not been done; says so in `problem` where it cannot be."""
        if self.rows is None:
            await self.show(self.name)

    async def step(self, by: int) -> None:
        """Goes to the next list, or the one before; round at the ends."""
        await self.show(self.names[(self.names.index(self.name) + by) % len(self.names)])

    async def sort_next(self) -> None:
        """Puts the rows in the next order; the cursor stays on what it stands on."""
        if not self.can_sort:
            return
        rows, at = self.rows, self.subject
        if rows is None:
            await self.show(self.name)
            return
        sort = rows.sorts[(rows.sorts.index(rows.sort) + 1) % len(rows.sorts)]
        await self.show(self.name, sort=sort, at=at)

    async def show(self, name: str, *, sort: str | None = None, at: Subject | None = None) -> None:
        """Goes to a list; a newer call makes an older one stale.

        Args:
            sort: its order; None for the one it was left in.
            at: what the cursor is to stand on; None for where it was left, or the first row.
        """
        self._number += 1
        self.name, self._way, self.reading = name, None, False
        sort = sort or self._sorts.get(name)
        rows = self._made.get((name, sort)) if sort is not None else None
        if rows is None or at is not None:
            found = await self._read(name, sort, rows, at)
            if found is None:
                return
            rows, place = found
            if place is not None:
                self._cursors[name] = place
        self._sorts[name] = rows.sort
        self.counts[name] = len(rows)
        self._made[name, rows.sort] = rows
        self._made.move_to_end((name, rows.sort))
        while len(self._made) > _MAX_LISTS:
            self._made.popitem(last=False)
        self._use(rows)

    async def _read(
        self, name: str, sort: str | None, known: FlatList | None, at: Subject | None
    ) -> tuple[FlatList, int | None] | None:
        """A list and the place of `at` in it; None where it cannot be read, or something else is looked at by then."""
        number = self._number
        self._say_no_more()
        if known is None:
            self.rows, self.problem = None, ""
        # Most lists are there at once; a word about each would only flicker.
        slow = asyncio.get_running_loop().call_later(_SLOW, self._say_reading, name)
        self.reading = True
        try:
            found = await self._loader.flat_list(
                name, *self.owner, sort=sort, known=known, at=at, on_progress=self._report
            )
        except Cancelled:
            if number == self._number and known is None:
                self._fail(_CANCELLED)
            return None
        except ModelError as error:
            if number == self._number:
                self._fail(text.visible(str(error)))
            return None
        finally:
            slow.cancel()
            if number == self._number:
                self.reading = False
                self._say_no_more()
        return found if number == self._number else None

    def _say_no_more(self) -> None:
        if self._said:
            self._said = False
            self._say("")

    def _say_reading(self, name: str) -> None:
        self._said = True
        self._say(f"reading {name} (Escape cancels)")
        self._tell(Topic.FLAT)

    def _report(self, progress: Progress) -> None:
        if self._said and progress.done and progress.total:
            self._say(f"reading {progress.what} {100 * progress.done // progress.total} % (Escape cancels)")

    def _use(self, rows: FlatList | None) -> None:
        self.rows, self.problem = rows, ""
        self._pages.clear()
        if rows is not None and not len(rows):
            self.problem = _EMPTY[self.name]
        self._tell(Topic.FLAT)

    def _fail(self, problem: str) -> None:
        self.rows, self.problem = None, problem
        self._tell(Topic.FLAT)

    async def open_op(self) -> bool:
        """Goes from an op to its nodes; `back` returns. Tells whether the cursor stands on one.

        Raises:
            Cancelled: it was cancelled; nothing changes.
        """
        subject, ops = self.subject, self.rows
        if not isinstance(subject, OpSubject) or ops is None:
            return False
        found = await self._loader.nodes_of_op(subject)
        if self.rows is not ops:  # something else is looked at by now
            return False
        self._way = _Way(subject, ops)
        self._cursors[_ON_THE_WAY] = 0
        self._use(found)
        return True

    def back(self) -> bool:
        """Goes back from the nodes of an op to the ops; tells whether that was the way."""
        if self._way is None:
            return False
        ops, self._way = self._way.ops, None
        self._use(ops)
        return True

    def forget_rows(self) -> None:
        """Gives the memory back; which list, its order and cursors are kept."""
        self._number += 1
        self._way, self.reading = None, False
        self._made.clear()
        self._use(None)

    # -- rows --

    @property
    def cursor(self) -> int:
        """The row that is looked at."""
        count = len(self.rows) if self.rows is not None else 0
        return max(0, min(self._cursors.get(self._at, 0), count - 1))

    @property
    def _at(self) -> str:
        return self.name if self._way is None else _ON_THE_WAY

    def move_to(self, place: int) -> bool:
        """Moves the cursor; tells whether it moved."""
        count = len(self.rows) if self.rows is not None else 0
        place = max(0, min(place, count - 1))
        if place == self.cursor:
            return False
        self._cursors[self._at] = place
        return True

    def row(self, place: int) -> Item | None:
        """The row at a place; None where it has not been read yet."""
        page = self._pages.get(place // PAGE)
        number = place % PAGE
        return page[number] if page is not None and number < len(page) else None

    @property
    def subject(self) -> Subject | None:
        """What the cursor stands on; None where there is nothing, or it has not been read yet."""
        item = self.row(self.cursor)
        return item.subject if item is not None else None

    async def read_rows(self, start: int, count: int) -> None:
        """Reads the pages of those rows and of a screenful around them, where that has not been done.

        Raises:
            Cancelled: it was cancelled.
        """
        rows = self.rows
        if rows is None or not len(rows):
            return
        first, last = max(0, start - count), min(len(rows) - 1, start + 2 * count)
        for page in range(first // PAGE, last // PAGE + 1):
            key = (id(rows), page)
            if page in self._pages:
                self._pages.move_to_end(page)
            elif key not in self._reading:
                self._reading.add(key)
                try:
                    items = await self._page(rows, page)
                finally:
                    self._reading.discard(key)
                if self.rows is not rows:
                    return
                self._pages[page] = items
                while len(self._pages) > _MAX_PAGES:
                    self._pages.popitem(last=False)
                self._tell(Topic.FLAT_ROWS)

    async def _page(self, rows: FlatList, page: int) -> list[Item]:
        start = page * PAGE
        try:
            return list((await self._loader.page(rows, start, PAGE)).items)
        except ModelError as error:
            subject = NoteSubject(text.visible(str(error)))
            places = range(start, min(start + PAGE, len(rows)))
            return [Item("note", rows.name(place), subject, note="cannot be read") for place in places]

    # -- to where something is --

    def has(self, subject: Subject) -> bool:
        """Whether a subject stands in one of the lists."""
        return self._list_of(subject) is not None

    def _list_of(self, subject: Subject) -> str | None:
        meta_graph, checkpoint, function = self.owner
        if isinstance(subject, NodeSubject) and subject.meta_graph is meta_graph and subject.function == function:
            return TENSORS if self.name == TENSORS else NODES
        if isinstance(subject, ArgumentSubject) and subject.meta_graph is meta_graph and subject.function == function:
            return TENSORS
        if isinstance(subject, VariableSubject) and subject.meta_graph is meta_graph and VARIABLES in self.names:
            return VARIABLES
        if isinstance(subject, KeySubject) and subject.checkpoint is checkpoint and KEYS in self.names:
            return KEYS
        return None

    async def reveal(self, subject: Subject) -> None:
        """Puts the cursor on a subject's row, in the list that has it."""
        name = self._list_of(subject)
        if name is not None and self.subject != subject:
            await self.show(name, at=subject)
