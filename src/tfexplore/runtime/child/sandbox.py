"""Takes rights away from this process and what it executes: Landlock, a network namespace, seccomp, limits.

None of it needs a privilege or anything installed; what the kernel does not have is told, not raised. Numbers are from
the kernel's headers: landlock.h, seccomp.h, prctl.h, capability.h, bpf_common.h.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import stat
import struct
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Optional

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_MAX_ABI = 7

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READ = _EXECUTE | _READ_FILE | _READ_DIR
# Rights that each version of the interface knows: 13, then REFER, TRUNCATE, and with the fifth IOCTL_DEV.
_KNOWN = (0x1FFF, 0x3FFF, 0x7FFF, 0x7FFF, 0xFFFF)
_NET_BIND_CONNECT = 3  # from the fourth on
_SCOPE_SOCKETS_SIGNALS = 3  # from the sixth on

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_CAPBSET_DROP = 1, 22, 24
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 36, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
# What root keeps, so as to read a model of another user: CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER.
_KEPT_CAPABILITIES = (0, 1, 2, 3)

# Per machine: its AUDIT_ARCH, and the numbers of socket and io_uring_setup (which could make sockets too).
_SYSTEM_CALLS = {"x86_64": (0xC000003E, 41, 425), "aarch64": (0xC00000B7, 198, 425)}
_X32 = 0x40000000

# What Python, the loader of libraries and TensorFlow (which ends itself without urandom) read.
SYSTEM = (
    "/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/proc", "/sys", "/opt/cuda", "/opt/rocm",
    "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom",
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload", "/etc/alternatives",
    "/etc/localtime", "/etc/timezone", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/host.conf",
    "/etc/hosts", "/etc/mime.types", "/etc/python3", "/etc/ssl/openssl.cnf", "/nix/store", "/gnu/store",
)  # fmt: skip
_ALSO_WRITTEN = ("/dev/null",)
_OF_GPUS = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset", "/dev/nvidia-caps")


class Applied(NamedTuple):
    """What was taken away.

    Attributes:
        landlock: the version of the kernel's interface, None where there is none.
        network: what holds the network back, of `namespace`, `seccomp` and `landlock tcp`.
    """

    landlock: Optional[int]
    network: tuple[str, ...]


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(libc: Any, *arguments: int) -> bool:
    padded = [ctypes.c_ulong(one) for one in (*arguments, 0, 0, 0, 0)[1:5]]
    return bool(libc.prctl(ctypes.c_int(arguments[0]), *padded) == 0)


def landlock_abi() -> Optional[int]:
    """The version of the kernel's Landlock, None where it has none or it is turned off."""
    if not sys.platform.startswith("linux"):
        return None
    abi = _libc().syscall(ctypes.c_long(_CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))
    return min(int(abi), _MAX_ABI) if abi >= 1 else None


def has_seccomp() -> bool:
    """Whether this kernel filters system calls, and this knows the machine's numbers."""
    return platform.machine() in _SYSTEM_CALLS and os.path.exists("/proc/sys/kernel/seccomp")


def die_with_parent(number: int) -> None:
    """Has the kernel send the signal once the thread that started this process ends; kept by execve."""
    if sys.platform.startswith("linux"):
        _prctl(_libc(), _PR_SET_PDEATHSIG, number)


def adopt_orphans() -> None:
    """Makes this the parent of whatever its descendants leave behind."""
    if sys.platform.startswith("linux"):
        _prctl(_libc(), _PR_SET_CHILD_SUBREAPER, 1)


def limit(memory: Optional[int]) -> None:
    """No core file; `memory` bytes of address space at most.

    Raises:
        OSError, ValueError: a lower limit is in force.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def gpu_devices() -> list[str]:
    """The device files that a GPU is used through."""
    found = [f"/dev/nvidia{number}" for number in range(16)]
    return [path for path in (*found, *_OF_GPUS) if os.path.exists(path)]


def apply(reads: Iterable[str], writes: Iterable[str]) -> Applied:
    """Leaves this thread, and what it executes, with these files and folders and without a network.

    Args:
        reads: may be read and executed, with all below.
        writes: may be written too.
    """
    if not sys.platform.startswith("linux"):
        return Applied(None, ())
    libc = _libc()
    network = []
    # Root needs no user namespace, in which it could no longer read the files of others.
    if libc.unshare(_CLONE_NEWNET) == 0 or _own_network(libc):
        network.append("namespace")
    for capability in range(64):
        if capability not in _KEPT_CAPABILITIES:
            _prctl(libc, _PR_CAPBSET_DROP, capability)
    if not _prctl(libc, _PR_SET_NO_NEW_PRIVS, 1):
        return Applied(None, tuple(network))
    abi = _restrict_files(libc, [*SYSTEM, *reads], [*_ALSO_WRITTEN, *writes])
    if abi is not None and abi >= 4:
        network.append("landlock tcp")
    if _deny_sockets(libc):
        network.append("seccomp")
    return Applied(abi, tuple(network))


def _own_network(libc: Any) -> bool:
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    for name, line in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        try:
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(line)
        except OSError:  # then it is nobody in there, which changes no right to files
            pass
    return True


def _restrict_files(libc: Any, reads: Sequence[str], writes: Sequence[str]) -> Optional[int]:
    abi = landlock_abi()
    if abi is None:
        return None
    known = _KNOWN[min(abi, len(_KNOWN)) - 1]
    attributes = struct.pack("<Q", known)
    if abi >= 4:
        attributes += struct.pack("<Q", _NET_BIND_CONNECT)
    if abi >= 6:
        attributes += struct.pack("<Q", _SCOPE_SOCKETS_SIGNALS)
    rules = libc.syscall(
        ctypes.c_long(_CREATE_RULESET), attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0)
    )
    if rules < 0:
        return None
    try:
        for paths, rights in ((reads, _READ), (writes, known)):
            for path in paths:
                _allow(libc, rules, path, rights & known)
        if libc.syscall(ctypes.c_long(_RESTRICT_SELF), ctypes.c_int(rules), ctypes.c_uint32(0)) != 0:
            return None
    finally:
        os.close(rules)
    return abi


def _allow(libc: Any, rules: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not there: nothing to allow
        return
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _OF_FILES
        rule = struct.pack("<Qi", rights, fd)
        libc.syscall(
            ctypes.c_long(_ADD_RULE), ctypes.c_int(rules), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0)
        )
    finally:
        os.close(fd)


def _deny_sockets(libc: Any) -> bool:
    """Has the kernel refuse every new socket: also UDP and, unlike Landlock, sockets that have a path."""
    numbers = _SYSTEM_CALLS.get(platform.machine())
    if numbers is None:
        return False
    arch, make_socket, make_ring = numbers
    load, equal, at_least, give = 0x20, 0x15, 0x35, 0x06  # LD+W+ABS, JMP+JEQ+K, JMP+JGE+K, RET+K
    refuse, allow = 0x00050000 | 13, 0x7FFF0000  # SECCOMP_RET_ERRNO | EACCES, SECCOMP_RET_ALLOW
    code = (
        (load, 0, 0, 4),  # seccomp_data.arch
        (equal, 0, 4, arch),
        (load, 0, 0, 0),  # seccomp_data.nr
        (at_least, 2, 0, _X32),
        (equal, 1, 0, make_socket),
        (equal, 0, 1, make_ring),
        (give, 0, 0, refuse),
        (give, 0, 0, allow),
    )
    # A foreign architecture jumps to `refuse` as well.
    lines = b"".join(struct.pack("<HBBI", *one) for one in code)
    buffer = ctypes.create_string_buffer(lines, len(lines))
    program = struct.pack("<HxxxxxxQ", len(code), ctypes.addressof(buffer))
    holder = ctypes.create_string_buffer(program, len(program))
    return _prctl(libc, _PR_SET_SECCOMP, 2, ctypes.addressof(holder))
