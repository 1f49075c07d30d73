"""What a row of the tree stands for: small references into the model's indexes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfexplore.core.checkpoint import Checkpoint
    from tfexplore.core.collection import Found
    from tfexplore.core.files import File
    from tfexplore.core.functions import Argument
    from tfexplore.core.graph import Graph
    from tfexplore.core.meta_graph import Asset, MetaGraph
    from tfexplore.core.model import CheckpointFile, Model
    from tfexplore.core.objects import ObjectGraph
    from tfexplore.core.scan_finding import Finding
    from tfexplore.core.signatures import Signature, TensorInfo
    from tfexplore.core.variables import Variable


@dataclass(frozen=True, slots=True)
class ModelSubject:
    """The model as a whole."""

    model: Model


@dataclass(frozen=True, slots=True)
class MetaGraphSubject:
    """One MetaGraph of a model."""

    model: Model
    meta_graph: MetaGraph


@dataclass(frozen=True, slots=True)
class SectionSubject:
    """A heading of the tree: its name, and a sentence about what lies below or why nothing does."""

    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class SignatureSubject:
    """One signature."""

    meta_graph: MetaGraph
    signature: Signature


@dataclass(frozen=True, slots=True)
class TensorInfoSubject:
    """One input (`is_input`) or output of a signature."""

    meta_graph: MetaGraph
    signature: Signature
    info: TensorInfo
    is_input: bool


@dataclass(frozen=True, slots=True)
class ScopeSubject:
    """A scope: how many things of what kind lie below, and their parameters and bytes where they have any."""

    name: str
    what: str
    count: int
    parameters: int | None = None
    nbytes: int | None = None


@dataclass(frozen=True, slots=True)
class VariableSubject:
    """One variable."""

    meta_graph: MetaGraph
    variable: Variable


@dataclass(frozen=True, slots=True)
class NodeSubject:
    """One node of the main graph, or of the function named."""

    meta_graph: MetaGraph
    graph: Graph
    function: str | None
    position: int


@dataclass(frozen=True, slots=True)
class TensorSubject:
    """Output `number` of a node of the main graph, or of the function named."""

    meta_graph: MetaGraph
    graph: Graph
    function: str | None
    position: int
    number: int


@dataclass(frozen=True, slots=True)
class OpSubject:
    """All nodes of one op type in the main graph, or in the function named."""

    meta_graph: MetaGraph
    graph: Graph
    function: str | None
    op: str


@dataclass(frozen=True, slots=True)
class ArgumentSubject:
    """An input (`is_input`) or output argument of a function."""

    meta_graph: MetaGraph
    function: str
    argument: Argument
    is_input: bool


@dataclass(frozen=True, slots=True)
class FunctionSubject:
    """One function."""

    meta_graph: MetaGraph
    name: str


@dataclass(frozen=True, slots=True)
class RestSubject:
    """What a block of a subject's details left out: its lines from number `start` on."""

    of: NodeSubject | OpSubject | FunctionSubject | ArgumentSubject
    block: str
    start: int


@dataclass(frozen=True, slots=True)
class PathSubject:
    """The shortest way along edges between two nodes of the main graph, or of the function named."""

    meta_graph: MetaGraph
    graph: Graph
    function: str | None
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class ObjectSubject:
    """One object of an object graph; `meta_graph` or `checkpoint` is where it belongs."""

    objects: ObjectGraph
    node_id: int
    meta_graph: MetaGraph | None = None
    checkpoint: Checkpoint | None = None


@dataclass(frozen=True, slots=True)
class AssetSubject:
    """One asset."""

    meta_graph: MetaGraph
    asset: Asset


@dataclass(frozen=True, slots=True)
class FileSubject:
    """One file of a SavedModel's folder; the MetaGraph is the one whose objects its details lead to."""

    meta_graph: MetaGraph
    file: File


@dataclass(frozen=True, slots=True)
class KeySubject:
    """One checkpoint key; with the MetaGraph where the checkpoint holds a SavedModel's variables."""

    checkpoint: Checkpoint
    key: str
    meta_graph: MetaGraph | None = None


@dataclass(frozen=True, slots=True)
class CheckpointSubject:
    """One checkpoint of a training directory."""

    model: Model
    file: CheckpointFile


@dataclass(frozen=True, slots=True)
class NoteSubject:
    """A sentence about something missing or damaged."""

    sentence: str


@dataclass(frozen=True, slots=True)
class FolderSubject:
    """A folder with models below.

    Attributes:
        path: as the person would name it.
        found: the models below.
        notes: sentences about what was left out.
        searching: whether more may be found.
    """

    path: str
    found: tuple[Found, ...]
    notes: tuple[str, ...] = ()
    searching: bool = False


@dataclass(frozen=True, slots=True)
class FoundSubject:
    """A model of a collection, not opened.

    Attributes:
        path: as the person would name it.
        found: what is known of it.
        versions: those of its serving base directory, newest first; empty where it is no version.
        problem: why it could not be opened, if that was tried.
    """

    path: str
    found: Found
    versions: tuple[int, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class FindingSubject:
    """Something that a scan of the model has found."""

    model: Model
    finding: Finding


Subject = (
    ModelSubject
    | MetaGraphSubject
    | SectionSubject
    | SignatureSubject
    | TensorInfoSubject
    | ScopeSubject
    | VariableSubject
    | NodeSubject
    | TensorSubject
    | OpSubject
    | ArgumentSubject
    | FunctionSubject
    | RestSubject
    | PathSubject
    | ObjectSubject
    | AssetSubject
    | FileSubject
    | KeySubject
    | CheckpointSubject
    | FindingSubject
    | FolderSubject
    | FoundSubject
    | NoteSubject
)
