"""What TensorFlow raised, as one sentence and a kind that programs compare."""

from __future__ import annotations

import os
import re
import sys
import traceback
from typing import Any

import tensorflow as tf

# Who registers ops that TensorFlow itself does not have: a start of the op's name, and the package to install.
OWNERS = (
    ("SimpleML", "tensorflow-decision-forests"),
    ("Addons>", "tensorflow-addons"),
    ("TFRA>", "tensorflow-recommenders-addons"),
    ("IO>", "tensorflow-io"),
    ("TFText>", "tensorflow-text"),
    ("TfText", "tensorflow-text"),
    ("Sentencepiece", "tensorflow-text"),
    ("RaggedTensorToSparseSentence", "tensorflow-text"),
    ("CaseFoldUTF8", "tensorflow-text"),
    ("NormalizeUTF8", "tensorflow-text"),
    ("ConstrainedSequence", "tensorflow-text"),
    ("FastWordpiece", "tensorflow-text"),
    ("WordpieceTokenize", "tensorflow-text"),
    ("WhitespaceTokenize", "tensorflow-text"),
    ("UnicodeScriptTokenize", "tensorflow-text"),
    ("MaskEntropy", "tensorflow-text"),
    ("RougeL", "tensorflow-text"),
    ("SplitMergeTokenize", "tensorflow-text"),
    ("PhraseTokenize", "tensorflow-text"),
    ("FastBert", "tensorflow-text"),
    ("RegexSplitWithOffsets", "tensorflow-text"),
    ("SentenceFragment", "tensorflow-text"),
    ("NgramsStringJoin", "tensorflow-text"),
    ("DecodeProtoSparse", "struct2tensor"),
    ("DecodeProtoMap", "struct2tensor"),
    ("EquiJoin", "struct2tensor"),
    ("RunLengthBefore", "struct2tensor"),
    ("ParquetDataset", "struct2tensor"),
    ("RankedFeature", "tensorflow-ranking"),
    ("TRTEngine", "a TensorFlow that is built with TensorRT"),
    ("CreateTRTResource", "a TensorFlow that is built with TensorRT"),
    ("InitializeTRT", "a TensorFlow that is built with TensorRT"),
    ("TPU", "a TensorFlow that is built for TPUs"),
    ("EdgeTpu", "the Edge TPU's runtime"),
    ("DecodeAudio", "tensorflow-io"),
    ("Horovod", "horovod"),
    ("NcclAll", "a TensorFlow that is built for GPUs"),
    ("TensorForest", "TensorFlow 1 (tf.contrib.tensor_forest)"),
    ("BoostedTrees", "an older TensorFlow"),
    ("Monarch", "monolith"),
    ("ReverbDataset", "dm-reverb"),
    ("Reverb", "dm-reverb"),
    ("Gemma", "tensorflow-text"),
    ("Bigtable", "tensorflow-io"),
    ("KafkaDataset", "tensorflow-io"),
    ("ZeroOut", "its own library (--op-library FILE.so)"),
)

_UNREGISTERED = (
    re.compile(r"Op type not registered '([^']{1,200})'"),
    re.compile(r"No op named (\S{1,200}) in defined operations"),
    re.compile(r"Converting GraphDef to Graph has failed.{0,200}Op type not registered '([^']{1,200})'", re.S),
)
_NO_KERNEL = re.compile(
    r"No (?:registered '([^']{1,200})' OpKernel|OpKernel was registered to support Op '([^']{1,200})')"
)
_DENIED = re.compile(r"(/[^;:\n]{1,4000}); (?:Permission denied|Operation not permitted|Read-only file system)")
_NOISE = re.compile(r"\s*\[(?:\[[^\]]{0,500}\]\]|Op:[^\]]{0,500}\])(?:\s*name: ?\S{0,200})?")
_NODE = re.compile(r"\{\{node ([^}]{1,500})\}\}")
_MISSING = re.compile(r"The name '([^']{1,500})' (?:refers to|looks like)|'([^']{1,500})' not in graph")
# Starts of lines that say nothing of the cause.
_ASIDE = ("Hint:", "[", "^", "0 successful", "Original stack", "Stack trace", "Derived", "Function call stack")
_LONGEST = 2000


def owner(op: str) -> str | None:
    """The package that is known to register an op."""
    return next((package for start, package in OWNERS if op.startswith(start)), None)


def failure(error: BaseException) -> dict[str, Any]:
    """The fields of a failure: `kind`, `message` (one sentence), `detail`."""
    text = getattr(error, "message", None) or str(error) or type(error).__name__
    text = text[:200_000]
    detail: dict[str, Any] = {"type": type(error).__name__}
    node = _NODE.search(text)
    if node is not None:
        detail["node"] = node.group(1)
    if not isinstance(error, tf.errors.OpError):
        traceback.print_exception(type(error), error, error.__traceback__, limit=-8, file=sys.stderr)
    for pattern in _UNREGISTERED:
        found = pattern.search(text)
        if found is not None:
            return _unregistered(found.group(1), detail)
    found = _NO_KERNEL.search(text)
    if found is not None:
        op = detail["op"] = found.group(1) or found.group(2)
        detail["package"] = owner(op)
        if detail["package"] is not None:
            detail["hint"] = f"{detail['package']} has one"
        return _made("no_kernel", f"this TensorFlow has no kernel for the op {op} on this device", detail)
    found = _DENIED.search(text)
    if found is not None or isinstance(error, (tf.errors.PermissionDeniedError, PermissionError)):
        path = found.group(1) if found is not None else getattr(error, "filename", None)
        if isinstance(path, str):
            path = path.rsplit(" : ", 1)[-1].strip()
            path = path[path.index("/") :] if "/" in path else path
            detail["path"] = path
            target = os.path.realpath(path)
            link = f", a link to {target}," if os.path.islink(path) and target != path else ""
            return _made("permission_denied", f"the sandbox refused {path}{link} to the model", detail)
        return _made("permission_denied", f"the sandbox refused it: {sentence(text)}", detail)
    if isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError)):
        what = "" if isinstance(error, MemoryError) else f": {sentence(text)}"
        detail["hint"] = "--memory allows more"
        return _made("resource_exhausted", f"there is not enough memory for it{what}", detail)
    if isinstance(error, tf.errors.OpError):
        return _made(_kind(error), sentence(text), detail)
    return _made("failed", f"{type(error).__name__}: {sentence(text)}", detail)


def _unregistered(op: str, detail: dict[str, Any]) -> dict[str, Any]:
    package = owner(op)
    detail["op"], detail["package"] = op, package
    if package is None:
        detail["hint"] = "--import MODULE or --op-library FILE.so brings the package or library that has it"
        return _made("unregistered_op", f"this TensorFlow has no op {op}", detail)
    if package.startswith("tensorflow-") or package in ("struct2tensor", "horovod", "dm-reverb"):
        module = package.replace("-", "_").replace("dm_", "")
        detail["hint"] = f"install {package} beside TensorFlow and add --import {module}"
    return _made("unregistered_op", f"this TensorFlow has no op {op}, which comes with {package}", detail)


def _made(kind: str, message: str, detail: dict[str, Any]) -> dict[str, Any]:
    return {"kind": kind, "message": message[:_LONGEST], "detail": detail}


def _kind(error: Any) -> str:
    name = type(error).__name__
    name = name[: -len("Error")] if name.endswith("Error") else name
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def sentence(text: str) -> str:
    """The first sentence of a message of TensorFlow's, without stack traces and names that it adds."""
    text = text.strip()
    if text.startswith("Graph execution error"):
        # The cause stands at the end, after where each node was defined.
        blocks = [block for block in re.split(r"\n\s*\n|\n(?=Node: )", text) if block.strip()]
        for line in reversed("\n".join(blocks[1:]).splitlines()):
            bare = _NOISE.sub("", line).strip()
            if bare and not bare.startswith(("File ", "Detected at", "Node: ", *_ASIDE)):
                text = bare
                break
    for line in text.splitlines():
        bare = _NOISE.sub("", line).strip()
        if bare and not bare.startswith(_ASIDE):
            text = bare
            break
    bare = re.sub(r"^\d+ root error\(s\) found\.\s*", "", text)
    bare = re.split(r"(?<=[a-z0-9)\]'\"])\.\s+(?=[A-Z])", bare, maxsplit=1)[0]
    return bare.rstrip(" .")[:_LONGEST]
