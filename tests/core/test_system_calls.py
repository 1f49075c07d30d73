"""Looking runs nothing, reaches nothing and writes nothing: the system calls, while the whole corpus is walked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
# What starts programs, reaches others, or changes files.
TRACED = (
    "execve,execveat,fork,vfork,clone,clone3,socket,connect,bind,listen,sendto,sendmsg,ptrace,kill,"
    "open,openat,openat2,creat,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,rmdir,link,linkat,symlink,"
    "symlinkat,truncate,ftruncate,chmod,fchmod,fchmodat,chown,fchown,utimensat,mknod,mknodat,setxattr,mount,"
    "memfd_create,mmap,io_uring_setup"
)
CALL = re.compile(r"(?:\d+\s+)?(\w+)\((.*)")
WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND")


@pytest.fixture(scope="module")
def strace() -> str:
    found = shutil.which("strace")
    if found is None:
        pytest.skip("strace is not installed (Debian's package strace)")
    probe = subprocess.run([found, "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"strace may not trace here: {probe.stderr.strip()[:200]}")
    return found


def traced(strace: str, log: Path, arguments: list[str], *paths: str) -> tuple[list[tuple[str, str]], str]:
    """The calls of a Python program after it has written its first line, as (name, arguments), and what it wrote."""
    options = ["-f", "-y", "-qq", "-s", "300", "-e", f"trace={TRACED},write", "-o", str(log)]
    found = subprocess.run(
        [strace, *options, sys.executable, *arguments, *paths],
        env={**os.environ, "PYTHONPATH": f"{HERE.parent.parent / 'src'}{os.pathsep}{HERE.parent}",
             "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr[-3000:]
    calls = [CALL.match(line) for line in log.read_text(errors="replace").splitlines()]
    named = [(call.group(1), call.group(2)) for call in calls if call is not None]
    begins = next(number for number, call in enumerate(named) if call[0] == "write" and "begins" in call[1])
    return named[begins + 1 :], found.stdout


def misdeeds(calls: list[tuple[str, str]], folders: tuple[str, ...]) -> list[str]:
    """The calls that looking must not make.

    Args:
        folders: where the models lie: files there must not even be mapped into memory.
    """
    found = []
    for name, arguments in calls:
        if name == "write":
            if not arguments.startswith("1<"):  # what the program itself prints
                found.append(f"write({arguments}")
        elif name in ("open", "openat", "openat2"):
            if WRITES.search(arguments):
                found.append(f"{name}({arguments}")
        elif name == "mmap":  # libraries and memory are; a model never
            if any(folder in arguments for folder in folders):
                found.append(f"{name}({arguments}")
        elif name in ("clone", "clone3"):
            if "CLONE_THREAD" not in arguments:
                found.append(f"{name}({arguments}")
        else:
            found.append(f"{name}({arguments}")
    return found


def test_walking_the_corpus_does_nothing_but_read(corpus: Path, tmp_path: Path, strace: str) -> None:
    folders = (str(corpus / "models"), str(corpus / "hostile"))
    calls, said = traced(strace, tmp_path / "log", [str(HERE / "touring.py")], *folders)
    assert misdeeds(calls, folders) == []
    models, details, refused, with_tensorflow = said.splitlines()[-1].split()
    assert int(models) > 400
    assert int(details) > 10_000
    assert int(refused) > 100
    assert with_tensorflow == "False"
    opened = [arguments for name, arguments in calls if name == "openat" and str(corpus) in arguments]
    assert len(opened) > 1000


MISDEEDS = {
    "exec": "import subprocess; subprocess.run(['true'])",
    "connection": "import socket; socket.socket().connect_ex(('127.0.0.1', 9))",
    "file": "open(sys.argv[1] + '/written', 'w').write('x')",
    "folder": "import os; os.mkdir(sys.argv[1] + '/made')",
    "mapping": "import mmap; f = open(sys.argv[1] + '/kept', 'rb'); mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)",
    "removal": "import os; open(sys.argv[1] + '/kept'); os.unlink(sys.argv[1] + '/kept')",
}


@pytest.mark.parametrize("what", MISDEEDS)
def test_misdeeds_are_noticed(what: str, tmp_path: Path, strace: str) -> None:
    (tmp_path / "kept").write_text("x")
    program = tmp_path / "program.py"
    program.write_text(f"import sys\nprint('begins', flush=True)\n{MISDEEDS[what]}\n")
    calls, _ = traced(strace, tmp_path / "log", [str(program)], str(tmp_path))
    assert misdeeds(calls, (str(tmp_path),))
