"""
Faults of one node's disk: slow, full, and without power.

The node's folder is moved onto a small file system of its own, an image that is mounted. That
needs root and a Linux with ext4 and loop devices; `lacking` says what is not there.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.network.faults import Fault, Scene
from tests.network.members import Member, Network

IMAGE_BYTES: Final = 96 << 20
SPARE_BYTES: Final = 128 << 10
"""Left free on a disk that is full: less than a store needs for its next files."""
DELAY_US: Final = 150_000
"""Of each flush of a slow disk."""
FLUSHES: Final = "fsync,fdatasync,sync_file_range"
_FS_IOC_SHUTDOWN: Final = 0x8004587D
_NO_LOG_FLUSH: Final = 2
"""What is in the journal's memory is lost as well, as with the power."""
_TOOLS: Final = {
    "power-cut": ("mkfs.ext4", "mount", "umount"),
    "disk-full": ("mkfs.ext4", "mount", "umount"),
    "slow-disk": ("strace",),
}


def lacking(fault: str) -> str:
    """Return what this machine lacks for a fault of a disk, "" if nothing or it is none."""
    tools = _TOOLS.get(fault, ())
    missing = [each for each in tools if shutil.which(each) is None]
    if tools and os.geteuid() != 0:
        missing.append("root")
    return ", ".join(missing)


@contextmanager
def power_cut(scene: Scene) -> Iterator[None]:
    """One node's machine loses its power: what was not flushed is gone."""
    member = scene.member()
    _give_disk(scene, member)
    time.sleep(scene.random.uniform(0, scene.hold_s))
    handle = os.open(member.folder, os.O_RDONLY)
    try:
        fcntl.ioctl(handle, _FS_IOC_SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
    finally:
        os.close(handle)
    member.kill()
    scene.notes["power cut"] += 1
    yield
    _unmount(member.folder)
    _mount(member.folder)
    member.start()


@contextmanager
def disk_full(scene: Scene) -> Iterator[None]:
    """The disk of one node is full, and is not any more."""
    member = scene.member()
    _give_disk(scene, member)
    ballast = member.folder / "ballast"
    with ballast.open("wb") as file:
        free = os.statvfs(member.folder)
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - SPARE_BYTES)
    yield
    if scene.network.sizes([member.name])[member.name] < 0:
        scene.notes["node said that it takes nothing"] += 1
    ballast.unlink()


@contextmanager
def slow_disk(scene: Scene) -> Iterator[None]:
    """Each flush of one node's ledger store and engine takes long."""
    member = scene.member()
    with ExitStack() as opened:
        for part in ("application", "engine"):
            opened.enter_context(_slowed(member.pids()[part]))
        yield


DISKS: Final[dict[str, Fault]] = {
    "power-cut": power_cut,
    "disk-full": disk_full,
    "slow-disk": slow_disk,
}
"""By the name that `scripts/soak` takes."""


@contextmanager
def _slowed(pid: int) -> Iterator[None]:
    command = ("strace", "-f", "-qq", "-o", "/dev/null", "-p", str(pid))
    inject = ("-e", f"trace={FLUSHES}", "-e", f"inject={FLUSHES}:delay_exit={DELAY_US}")
    process = subprocess.Popen((*command, *inject), stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def _give_disk(scene: Scene, member: Member) -> None:
    """Move a node's folder onto a file system of its own, unless it is on one."""
    if os.path.ismount(member.folder):
        return
    member.stop()
    image = _image(member.folder)
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    _run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0", str(image))
    moved = member.folder.with_name(f"{member.name}.moved")
    member.folder.rename(moved)
    member.folder.mkdir(mode=0o700)
    _mount(member.folder)
    scene.network.at_end(lambda: _leave_disk(scene.network, member))
    shutil.copytree(moved, member.folder, dirs_exist_ok=True)
    shutil.rmtree(moved)
    os.sync()  # what an operator put there is there, whatever becomes of the power
    member.start()
    scene.network.wait([member.name])


def _leave_disk(network: Network, member: Member) -> None:
    assert member.process is None, f"{network.folder}: {member.name} runs"
    with suppress(subprocess.CalledProcessError):
        _unmount(member.folder)


def _image(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.img")


def _mount(folder: Path) -> None:
    _run("mount", "-o", "loop", str(_image(folder)), str(folder))


def _unmount(folder: Path) -> None:
    _run("umount", str(folder))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
