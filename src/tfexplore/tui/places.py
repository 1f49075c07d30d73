"""Where one is in a model: in the whole or in a function that was entered, at its tree or at its flat lists."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from tfexplore.core import text
from tfexplore.core.items import Item
from tfexplore.core.subjects import (
    ArgumentSubject,
    FunctionSubject,
    MetaGraphSubject,
    NodeSubject,
    OpSubject,
    Subject,
    TensorSubject,
)
from tfexplore.core.ways import Way, function_of, way_to
from tfexplore.errors import ModelError
from tfexplore.loader import Loader
from tfexplore.tui.browsing import Browsing
from tfexplore.tui.lists import Lists, Owner
from tfexplore.tui.outline import PAGE, Node, Outline
from tfexplore.tui.topics import Topic

if TYPE_CHECKING:
    from tfexplore.core.meta_graph import MetaGraph

# Functions whose lists are kept as they were left.
_MAX_KEPT = 8
# A function may call itself: the path could go on for ever.
MAX_DEPTH = 100


class _Outside(NamedTuple):
    """What was shown before a function was entered."""

    outline: Outline
    cursor: int
    lists: Lists | None


class _Inside(NamedTuple):
    """A function that has been entered."""

    meta_graph: MetaGraph
    name: str
    outside: _Outside


class Places(Browsing):
    """A model's tree, or that of a function that was entered, or flat lists in its place.

    Attributes:
        lists: the flat lists that are shown; None for the tree.
    """

    def __init__(self, loader: Loader, tell: Callable[[Topic], None]) -> None:
        super().__init__(loader, tell)
        self.lists: Lists | None = None
        self._inside: list[_Inside] = []
        self._kept: OrderedDict[Owner, Lists] = OrderedDict()

    # -- functions --

    @property
    def function_path(self) -> list[str]:
        """The functions that were entered, the outermost first; as stored, not yet made visible."""
        return [step.name for step in self._inside]

    @property
    def inside(self) -> tuple[MetaGraph, str] | None:
        """The function whose graph the tree shows; None for the whole model."""
        return (self._inside[-1].meta_graph, self._inside[-1].name) if self._inside else None

    async def enter_function(self, meta_graph: MetaGraph, name: str) -> bool:
        """Shows the graph of a function in the tree's place; `leave_function` returns.

        Tells whether it was entered: not again where it is shown already. The details stay as they are.

        Raises:
            ModelError: there is no such function, or it cannot be read.
            Cancelled: it was cancelled.
        """
        model = self.model
        if model is None or self.in_list or self.inside == (meta_graph, name):
            return False
        if len(self._inside) >= MAX_DEPTH:
            raise ModelError(
                f"the path of functions ends after {MAX_DEPTH} steps; Backspace in the tree goes back", path=model.path
            )
        before = self.outline
        self._say(f"reading {text.label(name)}")
        try:
            roots = await self.loader.function_roots(meta_graph, name)
        finally:
            self._say("")
        if self.model is not model or self.outline is not before:  # something else is shown by now
            return False
        self._inside.append(_Inside(meta_graph, name, _Outside(self.outline, self.cursor, self.lists)))
        self.outline, self.cursor = Outline(roots.items), 0
        for index in range(min(roots.total, PAGE)):
            node = self.outline.root.child(index)
            if node is not None and node.item is not None and node.item.kind == "section":
                await self.expand(node)
        if self.lists is not None:
            self.lists = self._lists_of(Owner(meta_graph, None, name))
            await self.lists.open()
        self._tell_place()
        return True

    async def enter_under_cursor(self, subject: Subject | None = None) -> bool:
        """Enters the function under the cursor, the one that its node calls, or the one that it stands in.

        Args:
            subject: looked at in the cursor's place.

        Raises:
            ModelError: it cannot be read.
            Cancelled: it was cancelled.
        """
        if subject is None:
            subject = self.lists.subject if self.lists is not None else self.subject_at(self.cursor)
        owner = self.lists.owner if self.lists is not None else self.owner
        if subject is None or owner is None or owner.meta_graph is None:
            return False
        name = await self.loader.tasks.run(lambda _: function_of(subject)) or owner.function
        return name is not None and await self.enter_function(owner.meta_graph, name)

    def leave_function(self) -> bool:
        """Goes back to what the tree showed before the last function was entered; tells whether one had been."""
        if not self._inside:
            return False
        was_tree = self.lists is None
        self.outline, self.cursor, lists = self._inside.pop().outside
        # Whoever has gone to the tree meanwhile stays there.
        self.lists = None if was_tree or lists is None else self._lists_of(lists.owner)
        self._tell_place()
        return True

    def _tell_place(self) -> None:
        self._tell(Topic.ROWS)
        self._tell(Topic.CURSOR)
        self._tell(Topic.FLAT)

    async def accompany(self, subject: Subject) -> bool:
        """Shows the graph that something is in: goes into its function, or out of those that it is not in.

        Tells whether anything changed; of what is in no graph nothing does.

        Raises:
            ModelError: its function cannot be read.
            Cancelled: it was cancelled.
        """
        place = _graph_of(subject)
        if place is None or self.model is None or self.in_list:
            return False
        meta_graph, name = place
        path = [None, *((step.meta_graph, step.name) for step in self._inside)]
        wanted = None if name is None else (meta_graph, name)
        if wanted == path[-1]:
            return False
        if wanted is not None and wanted not in path:
            return await self.enter_function(meta_graph, wanted[1])
        while self.inside != wanted:
            self.leave_function()
        return True

    # -- flat lists --

    @property
    def owner(self) -> Owner | None:
        """Whose flat lists fit the tree's cursor: of the function that it stands in, else of the model."""
        model = self.model
        if model is None or self.in_list:
            return None
        meta_graph, function = self.inside or (None, None)
        row = self.row_at_cursor()
        node = (row.node or row.parent) if row is not None else None
        while node is not None and node.item is not None:
            subject = node.item.subject
            if isinstance(subject, FunctionSubject):
                return Owner(subject.meta_graph, None, subject.name)
            if isinstance(subject, MetaGraphSubject):
                meta_graph = subject.meta_graph
            node = node.parent
        if meta_graph is None and model.meta_graphs:
            meta_graph = model.meta_graphs[0]
        owner = Owner(meta_graph, None if function is not None else model.checkpoint, function)
        return owner if owner.names else None

    async def show_lists(self) -> bool:
        """Shows the flat lists in the tree's place, as they were left; tells whether there are any."""
        owner = self.owner
        if owner is None:
            return False
        self.lists = self._lists_of(owner)
        self._tell(Topic.FLAT)
        await self.lists.open()
        return True

    def show_tree(self) -> bool:
        """Shows the tree again, its cursor where it was; tells whether lists were shown."""
        if self.lists is None:
            return False
        self.lists = None
        self._tell(Topic.FLAT)
        return True

    def _lists_of(self, owner: Owner) -> Lists:
        found = self._kept.get(owner)
        if found is None:
            found = self._kept[owner] = Lists(owner, self.loader, self._tell, self._say)
        self._kept.move_to_end(owner)
        while len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)[1].forget_rows()
        return found

    # -- to where something is --

    async def reveal(self, subject: Subject) -> bool:
        """Puts the cursor on a subject, in the lists where these are shown and have it, else in the tree.

        Scopes above it are opened; the function that it is in is entered, and others are left. Tells whether it was
        found. The details stay as they are.

        Raises:
            Cancelled: it was cancelled on the way.
        """
        model, way = self.model, way_to(subject)
        if model is None or self.in_list or way is None or way.checkpoint not in (None, model.checkpoint):
            return False
        try:
            await self._go_into(way)
            if self.model is not model:
                return False
            if self.lists is not None and self.lists.has(subject):
                await self.lists.reveal(subject)
                return True
            self.show_tree()
            outline = self.outline
            node = await self._open_way(way, subject)
        except ModelError:  # the rows say why
            return False
        number = outline.number(node) if node is not None and self.outline is outline else None
        if number is not None and number != self.cursor:
            self.cursor = number
            self._tell(Topic.CURSOR)
        return number is not None

    async def _go_into(self, way: Way) -> None:
        """Enters the function that something is in, or leaves those that it is not in."""
        wanted = (way.meta_graph, way.function) if way.meta_graph is not None and way.function is not None else None
        if self.inside == wanted:
            return
        while self._inside and self.inside != wanted:
            self.leave_function()
        if wanted is not None and self.inside != wanted:
            await self.enter_function(*wanted)

    async def _open_way(self, way: Way, subject: Subject) -> Node | None:
        """Opens the branches down to something; its row, or None where there is none."""
        at = self.outline.root
        found = self._child(at, lambda item: item.subject == subject)
        if found is not None:
            return found
        whole = self._child(at, lambda item: _is_of(item, way.meta_graph))
        if whole is not None:
            await self.expand(whole)
            at = whole
        section = self._child(at, lambda item: item.kind == "section" and item.label == way.section)
        node = section
        while node is not None and node.item is not None and node.item.children is not None:
            place = await self.loader.place(node.item.children, way.name)
            if place is None:
                break
            await self.expand(node)
            if not node.has_page(place // PAGE):
                await self._read_page((id(node), place // PAGE), node, place // PAGE)
            node = node.child(place)
        return node if node is not section else None

    def _child(self, parent: Node, fits: Callable[[Item], bool]) -> Node | None:
        for index in range(min(parent.total or 0, PAGE)):
            node = parent.child(index)
            if node is not None and node.item is not None and fits(node.item):
                return node
        return None

    @property
    def _model_outline(self) -> Outline:
        """The rows of the whole model, below every function that was entered."""
        return self._inside[0].outside.outline if self._inside else self.outline

    def _forget_places(self) -> None:
        self._inside.clear()
        self._kept.clear()
        self.lists = None


def _graph_of(subject: Subject) -> tuple[MetaGraph, str | None] | None:
    """The MetaGraph and the function that something is in, or is; None for what is in no graph."""
    if isinstance(subject, FunctionSubject):
        return subject.meta_graph, subject.name
    if isinstance(subject, NodeSubject | TensorSubject | OpSubject | ArgumentSubject):
        return subject.meta_graph, subject.function
    return None


def _is_of(item: Item, meta_graph: MetaGraph | None) -> bool:
    """Whether an item is the row of a MetaGraph, of several."""
    return isinstance(item.subject, MetaGraphSubject) and item.subject.meta_graph is meta_graph
