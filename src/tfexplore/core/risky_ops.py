"""Which of TensorFlow's ops reach beyond the model: what each does, and where its path or address stands.

Levels, for what can run when the model is loaded, called or saved:

- `high`: writes files, reaches the network, runs other code, ends the process, or reads a file that the model itself
  names outside of itself.
- `medium`: reads files that an input names or whose name is computed, runs what this scan cannot look into (an op
  that TensorFlow does not have, a compiled program), and whatever could not be scanned.
- `note`: worth a word. A file of the model's own assets that is read, a graph in a constant that nothing runs.

What nothing reaches stands one level lower (`lowered`): it runs only where somebody fetches it by name. Normal saving
and restoring (SaveV2, RestoreV2 and their like, with the name that the caller gives) is no finding.

The classes and the ops in them were found among those of TensorFlow 2.21 by building models and watching them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

HIGH, MEDIUM, NOTE = "high", "medium", "note"
LEVELS = (HIGH, MEDIUM, NOTE)

WRITES = "writes files"
READS = "reads files"
NETWORK = "network"
CODE = "runs other code"
STOPS = "stops the process"
OUTSIDE = "reads outside the model"
NOT_SCANNED = "not scanned"

# Rules: when a node of such an op is a finding.
ALWAYS = "always"
NAMED = "named"  # by where the name comes from: the model's own words, an asset, an input
FILLED = "filled"  # where its name is not known to be empty
SAVER = "saver"  # unless the caller of a saver gives the name
FILE_STREAM = "file stream"  # PrintV2
ADDRESSED = "addressed"  # the debugger's ops
DESCRIPTORS = "descriptors"  # the ops of protobuf messages


class Risk(NamedTuple):
    """What an op can do.

    Attributes:
        kind: its class: `writes files`, `network`, …
        does: the same in one phrase, without a subject.
        inputs: names and positions of the inputs that hold a path or an address.
        attrs: names of such attributes.
    """

    kind: str
    does: str
    level: str
    rule: str
    inputs: tuple[tuple[str, int], ...]
    attrs: tuple[str, ...]


def lowered(level: str) -> str:
    """The level of the same finding where nothing reaches it."""
    return MEDIUM if level == HIGH else NOTE


def highest(levels: Sequence[str]) -> str | None:
    """The highest of some levels; None of none."""
    return next((level for level in LEVELS if level in levels), None)


def at_least(level: str, wanted: str) -> bool:
    """Whether a level is `wanted` or higher."""
    return LEVELS.index(level) <= LEVELS.index(wanted)


RISKS: dict[str, Risk] = {}


def _add(kind: str, level: str, rule: str, does: str, *ops: str) -> None:
    """Each op as `Name input@position attribute`; its Experimental twin does the same."""
    for entry in ops:
        name, *places = entry.split()
        inputs = tuple((place.partition("@")[0], int(place.partition("@")[2])) for place in places if "@" in place)
        risk = Risk(kind, does, level, rule, inputs, tuple(place for place in places if "@" not in place))
        RISKS[name] = risk
        RISKS.setdefault(f"Experimental{name}", risk)


# -- writes files --
_add(WRITES, HIGH, ALWAYS, "writes a file", "WriteFile filename@0")
_add(WRITES, HIGH, FILE_STREAM, "appends to a file", "PrintV2 output_stream")
_add(
    *(WRITES, HIGH, SAVER, "writes a checkpoint"),
    "Save filename@0",
    "SaveSlices filename@0",
    "SaveV2 prefix@0",
)
_add(
    *(WRITES, HIGH, SAVER, "moves checkpoint files, whosever they are"),
    "MergeV2Checkpoints checkpoint_prefixes@0 destination_prefix@1",
)
_add(WRITES, HIGH, FILLED, "writes a dataset to files", "CacheDataset filename@1", "CacheDatasetV2 filename@1")
_add(
    *(WRITES, HIGH, ALWAYS, "writes a dataset to files"),
    "SaveDataset path@1",
    "SaveDatasetV2 path@1",
    "SnapshotDataset path@1",
    "SnapshotDatasetV2 path@1",
    "DatasetToTFRecord filename@1",
)
_add(WRITES, HIGH, ALWAYS, "writes a dataset to files and calls a server", "DistributedSave directory@1 address@2")
_add(
    *(WRITES, HIGH, ALWAYS, "writes summaries"),
    "CreateSummaryFileWriter logdir@1 filename_suffix@4",
    "CreateSummaryDbWriter db_uri@1",
)
_add(
    WRITES,
    HIGH,
    ALWAYS,
    "opens a database, which it makes where there is none",
    "SqlDataset data_source_name@1 query@2",
)
_add(WRITES, HIGH, ALWAYS, "writes a tensor to a file", "DumpTensor log_dir_path file_name")
_add(WRITES, HIGH, ALWAYS, "writes statistics to a file", "CalibrationStatisticsSaver output_file_path")
_add(
    *(WRITES, HIGH, ALWAYS, "changes how a file system is reached"),
    "FileSystemSetConfiguration scheme@0 key@1 value@2",
)

# -- reads files --
_add(
    *(READS, HIGH, NAMED, "reads a file"),
    "ReadFile filename@0",
    "ImmutableConst memory_region_name",
    "FixedUnigramCandidateSampler vocab_file",
    "Skipgram filename",
    "RecordInput file_pattern",
    "TextLineDataset filenames@0",
    "TFRecordDataset filenames@0",
    "TFRecordDatasetV2 filenames@0",
    "FixedLengthRecordDataset filenames@0",
    "FixedLengthRecordDatasetV2 filenames@0",
    "CSVDataset filenames@0",
    "CSVDatasetV2 filenames@0",
    "LMDBDataset filenames@0",
    "LoadDataset path@0",
    "ListSnapshotChunksDataset snapshot_path@0",
    "SnapshotChunkDataset chunk_file@0",
    "SnapshotDatasetReader shard_dir@0",
    "GenerateVocabRemapping new_vocab_file@0 old_vocab_file@1",
)
_add(READS, HIGH, NAMED, "lists files", "MatchingFiles pattern@0", "MatchingFilesDataset patterns@0")
_add(
    *(READS, HIGH, NAMED, "fills a table from a file"),
    "InitializeTableFromTextFile filename@1",
    "InitializeTableFromTextFileV2 filename@1",
)
_add(READS, HIGH, NAMED, "reads a checkpoint", "LoadAndRemapMatrix ckpt_path@0")
_add(
    *(READS, HIGH, SAVER, "reads a checkpoint"),
    "Restore file_pattern@0",
    "RestoreSlice file_pattern@0",
    "RestoreV2 prefix@0",
    "DTensorRestoreV2 prefix@0",
)
_add(
    *(READS, MEDIUM, ALWAYS, "reads the files that a queue names"),
    *(
        f"{name}{version}"
        for name in ("WholeFileReader", "TextLineReader", "TFRecordReader", "FixedLengthRecordReader", "LMDBReader")
        for version in ("", "V2")
    ),
)
_add(
    *(READS, HIGH, DESCRIPTORS, "reads descriptions of messages from a file"),
    "DecodeProtoV2 descriptor_source",
    "EncodeProto descriptor_source",
)

# -- network --
_add(
    *(NETWORK, HIGH, ADDRESSED, "sends tensors to a debugger"),
    "DebugIdentity debug_urls",
    "DebugIdentityV2 debug_urls",
    "DebugIdentityV3 debug_urls",
    "DebugNanCount debug_urls",
    "DebugNumericSummary debug_urls",
)
_add(
    *(NETWORK, HIGH, ALWAYS, "calls a server"),
    "DataServiceDataset address@2 protocol@3",
    "DataServiceDatasetV2 address@2 protocol@3",
    "DataServiceDatasetV3 address@2 protocol@3",
    "DataServiceDatasetV4 address@2 protocol@3",
    "RegisterDataset address@1 protocol@2",
    "RegisterDatasetV2 address@1 protocol@2",
    "RpcClient server_address@0",
    "RpcCall method_name@1",
)
_add(
    *(NETWORK, HIGH, ALWAYS, "listens for calls"),
    "RpcServer server_address@0",
    "RpcServerRegister method_name@1",
    "RpcServerStart",
)
_add(NETWORK, MEDIUM, ALWAYS, "runs a function on another device or machine", "RemoteCall target@0")
_add(
    *(NETWORK, MEDIUM, ALWAYS, "exchanges tensors with another machine of the cluster"),
    *("Send send_device", "Recv recv_device", "_Send recv_device", "_Recv send_device"),
    *("_HostSend recv_device", "_HostRecv send_device"),
    *("CollectiveAllToAllV2", "CollectiveAllToAllV3", "CollectiveAssignGroupV2", "CollectiveBcastRecv"),
    *("CollectiveBcastRecvV2", "CollectiveBcastSend", "CollectiveBcastSendV2", "CollectiveGather"),
    *("CollectiveGatherV2", "CollectiveInitializeCommunicator", "CollectivePermute", "CollectiveReduce"),
    *("CollectiveReduceScatterV2", "CollectiveReduceV2", "CollectiveReduceV3"),
)

# -- runs other code --
_add(CODE, HIGH, ALWAYS, "runs a graph that lies in a string", "DatasetFromGraph")
_add(
    *(CODE, HIGH, ALWAYS, "calls a Python function of the process that runs the model"),
    *("PyFunc token", "PyFuncStateless token", "EagerPyFunc token"),
)
_add(
    CODE,
    HIGH,
    ALWAYS,
    "calls a compiled function by name",
    "XlaCustomCall target_name",
    "XlaCustomCallV2 call_target_name",
)
_add(CODE, HIGH, ALWAYS, "runs a compiled program", "_TPUCompileMlir")
_add(
    *(CODE, MEDIUM, ALWAYS, "runs a compiled program that this scan does not look into"),
    *("XlaCallModule", "TRTEngineOp", "MlirPassthroughOp", "_XlaHostComputeMlir", "_XlaRun"),
    "RemoteFusedGraphExecute",
)
_add(
    CODE,
    MEDIUM,
    ALWAYS,
    "compiles a function and runs it",
    "XlaLaunch function",
    "XlaLaunchV2 function",
    "_XlaCompile function",
)
UNREGISTERED = Risk(
    CODE, "not registered in TensorFlow: needs a library that runs its own code", MEDIUM, ALWAYS, (), ()
)

# -- stops the process --
_add(STOPS, HIGH, ALWAYS, "aborts the process", "Abort error_msg")

# Ops that make a tensor, with the position of the input that says its shape (or how often something is repeated).
SIZED = {
    "Fill": 0,
    "BroadcastTo": 1,
    "Tile": 1,
    "Empty": 0,
    "RandomUniform": 0,
    "RandomUniformInt": 0,
    "RandomStandardNormal": 0,
    "TruncatedNormal": 0,
    "StatelessRandomUniform": 0,
    "StatelessRandomUniformV2": 0,
    "StatelessRandomNormal": 0,
    "StatelessRandomNormalV2": 0,
}
# No tensor of a model has so many elements (8.6e9: 32 GiB of float32).
MAX_ELEMENTS = 1 << 33
LOOPS = ("While", "StatelessWhile")
