"""A shell stand-in with job control: runs one job on a terminal of its own and says what becomes of it.

    guard_shell.py CONTROL ALIVE TERMINAL COMMAND...

CONTROL is a socket: a JSON line goes out at each change of the job, and after a stop a line `fg`, `bg` or
`wait` (continued by somebody else) comes in.
ALIVE is the write end of a pipe that only the job's processes keep. Unlike a real shell it leaves the terminal's state
as the job left it. It stays until CONTROL is closed, as a shell would.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import sys


def main() -> None:
    control, alive, terminal = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    if "GUARD_SHELL_IGNORES_HANG_UP" in os.environ:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    tty = os.open(terminal, os.O_RDWR)  # a session's first terminal becomes its controlling one
    lines = socket.socket(fileno=control).makefile("rw")

    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(tty, os.getpgrp())
        for number in (signal.SIGTTOU, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        errors = os.environ.get("GUARD_SHELL_STDERR")
        for fd in (0, 1, 2):
            os.dup2(tty, fd)
        if errors:
            os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
        os.set_inheritable(alive, True)
        os.execv(sys.argv[4], sys.argv[4:])
    os.close(alive)

    def say(**change: int) -> None:
        lines.write(json.dumps(change) + "\n")
        lines.flush()

    say(job=job)
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        with contextlib.suppress(OSError):  # hung up
            os.tcsetpgrp(tty, os.getpgrp())
        if os.WIFEXITED(status):
            say(exit=os.WEXITSTATUS(status))
        elif os.WIFSIGNALED(status):
            say(signal=os.WTERMSIG(status))
        else:
            say(stopped=os.WSTOPSIG(status))
        command = lines.readline().strip()
        if not command:
            return
        if command == "fg":
            os.tcsetpgrp(tty, job)
        if command != "wait":
            os.killpg(job, signal.SIGCONT)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # nobody listens any more
        main()
