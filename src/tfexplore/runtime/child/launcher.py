"""The process between the explorer and the child: starts the child in its sandbox, and cleans up after it.

It runs under the child's interpreter, so it knows which folders that one lives in. It forks; the fork takes its own
rights away and executes the interpreter anew. The launcher stays outside the sandbox, reads nothing that the child
writes, and waits: once the child has ended, or the explorer has (its end of the lifeline closes), nothing of the child
is left, neither a process nor the scratch folder.

On the status pipe it writes lines of JSON: `{"sandbox": …}` before the child starts, `{"ended": status}` after its end,
`{"failed": sentence}` where it cannot be started.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import site
import sys
from typing import Any, Callable

from . import sandbox, warm


def main(arguments: list[str]) -> None:
    """Runs the child that the JSON of the first argument describes.

    Its fields: `requests`, `answers`, `status`, `lifeline` (descriptors), `scratch` (a folder that is there),
    `reads`, `writes`, `paths` (more of them for `sys.path`), `home`, `memory`, `gpu`, `sandbox` (`best`, `off`,
    `required`), `dont_compile`, `script` (what to execute, for tests).
    """
    plan: dict[str, Any] = json.loads(arguments[0])
    sandbox.adopt_orphans()
    for fd in (plan["requests"], plan["answers"], plan["status"], plan["lifeline"]):
        os.set_inheritable(fd, False)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake)
    parent = os.getpid()
    paths = _more_paths(plan)
    if plan["script"] is None and not plan["dont_compile"] and warm.is_needed(paths):
        _tell(plan["status"], {"progress": "compiling TensorFlow for this Python, once"})
        command = [sys.executable, "-I", _script("run.py"), "warm", *paths]
        _see_it_end(_fork(lambda: _become(command, plan), parent), plan, woken)
    child = _fork(lambda: _be_the_child(plan, paths, parent), parent)
    for fd in (plan["requests"], plan["answers"]):
        os.close(fd)
    status = _see_it_end(child, plan, woken)
    _end_the_rest(child)
    shutil.rmtree(plan["scratch"], ignore_errors=True)
    with contextlib.suppress(OSError):
        _tell(plan["status"], {"ended": status})
    os._exit(0)


def _fork(work: Callable[[], None], launcher: int) -> int:
    """Starts a child in a group of its own, which ends with this process."""
    child = os.fork()
    if child:
        return child
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setpgid(0, 0)
        sandbox.die_with_parent(signal.SIGKILL)
        if os.getppid() == launcher:
            work()
    finally:
        os._exit(1)


def _see_it_end(child: int, plan: dict[str, Any], woken: int) -> int:
    """Waits for a child, and passes SIGTERM on to it meanwhile; its exit code, negative for a signal."""
    signal.signal(signal.SIGTERM, lambda number, frame: _signal(child, signal.SIGTERM))
    status = _wait(child, plan["lifeline"], woken)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return status


def _wait(child: int, lifeline: int, woken: int) -> int:
    """The child's exit code, negative for a signal; kills it once the explorer lets go."""
    poll = select.poll()
    poll.register(lifeline, select.POLLIN)
    poll.register(woken, select.POLLIN)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        for fd, _ in poll.poll():
            if fd == woken:
                os.read(woken, 4096)
            else:
                poll.unregister(lifeline)
                _signal(child, signal.SIGKILL)


def _signal(child: int, number: int) -> None:
    """Sends a signal to the child's group, or to the child that has not made one yet."""
    try:
        os.killpg(child, number)
    except OSError:
        with contextlib.suppress(OSError):
            os.kill(child, number)


def _end_the_rest(child: int) -> None:
    """Kills what the child left behind: its group, and what moved out of it."""
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    for _ in range(1000):
        try:
            with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
                left = [int(word) for word in file.read().split()]
        except OSError:
            left = []
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except OSError:  # none is left
            return


def _be_the_child(plan: dict[str, Any], paths: list[str], launcher: int) -> None:
    """From the fork to execve."""
    try:
        os.chdir(plan["scratch"])
        script = plan["script"] or _script("run.py")
        applied = sandbox.Applied(None, ())
        if plan["sandbox"] != "off":
            devices = sandbox.gpu_devices() if plan["gpu"] else []
            applied = sandbox.apply(
                [*_interpreter(plan), *paths, script, *plan["reads"]], [plan["scratch"], *devices, *plan["writes"]]
            )
        if plan["sandbox"] == "required" and applied.landlock is None:
            raise OSError("this kernel has no Landlock, so the model would run with your rights")
        _tell(plan["status"], {"sandbox": {"landlock": applied.landlock, "network": applied.network}})
        sandbox.limit(plan["memory"])
        # Again: a namespace of its own for users has the kernel forget it.
        sandbox.die_with_parent(signal.SIGKILL)
        if os.getppid() != launcher:
            return
        for fd in (plan["requests"], plan["answers"]):
            os.set_inheritable(fd, True)
        told = {"requests": plan["requests"], "answers": plan["answers"], "paths": paths, "gpu": plan["gpu"]}
        _become([sys.executable, "-I", "-B", script, "serve", json.dumps(told)], plan)
    except BaseException as error:
        _tell(plan["status"], {"failed": f"{getattr(error, 'strerror', None) or error}"})


def _become(command: list[str], plan: dict[str, Any]) -> None:
    os.execve(command[0], command, _environment(plan))


def _script(name: str) -> str:
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), name)


def _environment(plan: dict[str, Any]) -> dict[str, str]:
    return {**os.environ, **dict.fromkeys(("HOME", "TMPDIR", "TMP", "TEMP"), plan["scratch"])}


def _more_paths(plan: dict[str, Any]) -> list[str]:
    """What `-I` left out of `sys.path` and belongs in: the user's site-packages, and PYTHONPATH."""
    found = []
    if plan["home"] and sys.prefix == sys.base_prefix:  # an environment does not look there
        site.USER_BASE = site.USER_SITE = None
        os.environ["HOME"] = plan["home"]
        user = site.getusersitepackages()
        if os.path.isdir(user):
            found.append(user)
    return [*found, *plan["paths"]]


def _interpreter(plan: dict[str, Any]) -> list[str]:
    """The folders that this Python and its packages lie in."""
    folders = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *sys.path]
    folders += [os.path.dirname(os.path.realpath(sys.executable)), os.path.dirname(os.path.abspath(sys.executable))]
    folders += os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    folders.append(os.path.dirname(os.path.abspath(__file__)))
    home = os.path.realpath(plan["home"]) if plan["home"] else ""
    # A folder that holds the home folder would give everything away.
    return [one for one in folders if os.path.isabs(one) and not _holds(os.path.realpath(one), home)]


def _holds(folder: str, home: str) -> bool:
    return bool(home) and (home + os.sep).startswith(folder.rstrip(os.sep) + os.sep)


def _tell(fd: int, message: dict[str, Any]) -> None:
    os.write(fd, json.dumps(message).encode("ascii") + b"\n")
