"""What the client is asked and what it tells: options, events, what holds the child."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from tfexplore.errors import RuntimeFailed
from tfexplore.runtime.protocol import Tensor

State = Literal["off", "starting", "importing", "idle", "running", "dead"]


@dataclass(frozen=True, slots=True)
class Options:
    """How the child is run.

    Attributes:
        python: the interpreter that has TensorFlow; None for this one.
        reads: files and folders that it may read, the model's above all.
        writes: folders that it may write, besides its scratch folder.
        device: `gpu` shows it the GPUs.
        threads: for each of TensorFlow's two pools; None leaves it to TensorFlow.
        memory: bytes of address space, None for no limit.
        imports, op_libraries: modules (a name, or the path of a .py file) and shared libraries with custom ops.
        sandbox: `required` fails where the kernel cannot, `best` takes what it has, `off` is for tests.
        start_seconds: how long the start with TensorFlow's import may take.
    """

    python: str | None = None
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    device: Literal["cpu", "gpu"] = "cpu"
    threads: int | None = None
    memory: int | None = None
    imports: tuple[str, ...] = ()
    op_libraries: tuple[str, ...] = ()
    sandbox: Literal["required", "best", "off"] = "best"
    start_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What holds the child.

    Attributes:
        landlock: the version of the kernel's interface; None where it holds nothing back from files.
        network: what cuts the network off, of `namespace`, `seccomp`, `landlock tcp`; empty where nothing does.
        off: nobody asked for it.
    """

    landlock: int | None = None
    network: tuple[str, ...] = ()
    off: bool = False

    @property
    def whole(self) -> bool:
        """Whether both files and every kind of network are held back."""
        return self.landlock is not None and bool({"namespace", "seccomp"}.intersection(self.network))

    def sentence(self) -> str:
        """For the person, before the first run."""
        if self.off:
            return "The model runs without a sandbox, with your rights."
        if self.landlock is None:
            files = "This kernel has no Landlock: the model runs with your rights to read and write files"
        else:
            files = f"The model may only read its own files and write to a scratch folder (Landlock {self.landlock})"
        if {"namespace", "seccomp"}.intersection(self.network):
            return f"{files}; it has no network ({', '.join(self.network)})."
        if self.network:
            return f"{files}; TCP is held back but UDP is not."
        return f"{files}; the network is open to it."


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a request is; `total` is None where nobody knows.

    Attributes:
        figures: of `tune_run`, for each of the last steps its number, loss, gradient norm and seconds.
        changes: of `tune_run` now and then, the keys of variables and the L2 norms of their changes since loading.
    """

    what: str
    done: int = 0
    total: int | None = None
    figures: tuple[tuple[int, float, float, float], ...] = ()
    changes: tuple[tuple[str, float], ...] | None = None


@dataclass(frozen=True, slots=True)
class Log:
    """Something to tell the person that is no failure."""

    text: str


@dataclass(frozen=True, slots=True)
class Result:
    """A request's answer.

    Attributes:
        value: plain data, as the method describes it.
        tensors: what came with it, see `runtime.arrays`.
    """

    value: dict[str, Any]
    tensors: tuple[Tensor, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """A request's end without an answer."""

    error: RuntimeFailed


Event = Progress | Log | Result | Failure


@dataclass(frozen=True, slots=True)
class About:
    """What runs in the child."""

    python: str
    tensorflow: str
    sandbox: Sandbox
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a model: a signature, a function of the object graph, or feeds and fetches by tensor name.

    Attributes:
        signature: its name; takes `inputs` by name.
        function: a path in the object graph such as `encoder.__call__`; takes `args` and `kwargs`, a nest as
            `runtime.arrays.pack` makes it, whose tensors are `inputs`, by number.
        feeds: tensor names of the main graph, fed with `inputs` of the same names.
        fetches: tensor names to give back.
        body: with `fetches`, the FunctionDef that their names belong to; the signature says how it is reached.
        repeat: further calls after the first, for their latencies.
    """

    signature: str | None = None
    function: str | None = None
    inputs: tuple[Tensor, ...] = ()
    args: Any = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    fetches: tuple[str, ...] = ()
    body: str | None = None
    repeat: int = 0
