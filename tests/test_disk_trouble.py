"""A disk that is full, read-only or stalled, under a whole live pipeline: what goes on, what is lost, what comes back.

The disks are real: a tmpfs that is filled up, an ext4 image whose kernel found an error and made it read-only, and an
ext4 image that is frozen (FIFREEZE: every write hangs in the kernel until it is thawed). That takes root and Linux.
With `-s`, each test prints its row of a table. EDGECAM_STALL_SECONDS is how long the disk stalls, 8 unless told.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic

import pytest
from disk_rig import FIFREEZE, FITHAW, FPS, STALL, Rig, Steps, ext4_image, freezable, mounted, unmount

from edgecam.storing import STALLED_AFTER

pytestmark = [
    pytest.mark.any_runtime,
    pytest.mark.timeout(240),
]


@pytest.fixture
def cleanup() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def small_disk(tmp_path: Path, cleanup: ExitStack) -> Path:
    """A tmpfs of 32 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted("-t", "tmpfs", "-o", "size=32m", "edgecam-test", folder)
    cleanup.callback(unmount, folder)
    return folder


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A file with an empty ext4 file system."""
    return ext4_image(tmp_path / "image")


@pytest.fixture
def ext4_disk(tmp_path: Path, image: Path, cleanup: ExitStack) -> Path:
    """The image, mounted in a folder in which nothing can be written while it is not."""
    holder = tmp_path / "holder"
    holder.mkdir()
    mounted("-t", "tmpfs", "-o", "size=1m", "edgecam-test", holder)
    cleanup.callback(unmount, holder)
    folder = holder / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-o", "remount,ro", holder], check=True)
    mounted("-o", "loop,errors=remount-ro", image, folder)
    cleanup.callback(unmount, folder)
    return folder


def fill(folder: Path) -> Path:
    """Write until nothing fits any more."""
    filling = folder / "filling"
    with suppress(OSError), filling.open("ab", buffering=0) as file:
        while file.write(b"x" * 65536):
            pass
    return filling


def test_a_full_disk(small_disk: Path) -> None:
    rig = Rig(small_disk)

    def refill() -> Steps:
        """What a sink gives up when it closes a file is taken again: the disk is full, and stays so.

        The journal need not notice: its log has room that was taken before.
        """
        noticed: set[str] = set()
        end = rig.watching.frames + 6 * FPS
        while rig.watching.frames < end or len(noticed) < 4:
            assert rig.watching.frames < end + 20 * FPS, noticed
            fill(small_disk)
            noticed |= rig.troubles().keys()
            yield

    rig.run(rig.trouble(lambda: None, (small_disk / "filling").unlink, refill))
    rig.assert_all_else_went_on()
    rig.assert_journal_is_whole()
    rig.assert_lines_are_whole()
    rig.assert_files_are_whole()
    rig.assert_clips_are_whole()


def test_a_disk_that_turns_read_only(ext4_disk: Path, image: Path) -> None:
    """The kernel makes it so when it finds an error; then somebody repairs and mounts it again."""
    rig = Rig(ext4_disk)
    device = subprocess.run(
        ["findmnt", "-no", "SOURCE", ext4_disk], capture_output=True, text=True, check=True
    ).stdout.strip()
    trigger = Path("/sys/fs/ext4", Path(device).name, "trigger_fs_error")
    if not trigger.exists():
        pytest.skip("this kernel has no trigger_fs_error to make a disk fail with")

    def lasting() -> Steps:
        yield from rig.frames(6 * FPS)
        yield from rig.until(lambda: len(rig.troubles()) == 5, "every sink has noticed")
        while subprocess.run(["umount", ext4_disk], capture_output=True, check=False).returncode:
            yield  # a sink has a file open still
        assert subprocess.run(["e2fsck", "-p", image], capture_output=True, check=False).returncode <= 1

    rig.run(
        rig.trouble(
            lambda: trigger.write_text("a test"),  # type: ignore[arg-type]
            lambda: mounted("-o", "loop,errors=remount-ro", image, ext4_disk),
            lasting,
        )
    )
    rig.assert_all_else_went_on()
    rig.assert_journal_is_whole()
    rig.assert_clips_are_whole()


def test_a_disk_that_stalls(ext4_disk: Path) -> None:
    rig = Rig(ext4_disk)
    with freezable(ext4_disk) as set_to:

        def lasting() -> Steps:
            end = monotonic() + STALL
            yield from rig.until(lambda: monotonic() > end, "the stall is over")
            if STALL > STALLED_AFTER + 2:
                assert len(rig.troubles()) >= 3, rig.troubles()

        rig.run(rig.trouble(lambda: set_to(FIFREEZE), lambda: set_to(FITHAW), lasting))
    rig.assert_all_else_went_on()
    refused = {store.name: store.frames_refused for store in rig.pipeline.stores}
    # On a busy machine the encoder itself may be late for a moment; a stall that held it up would cost all its frames.
    assert refused["clips-front"] <= 60 or STALL > 40, "encoding goes on, and what was encoded waits"
    rig.assert_journal_is_whole()
    rig.assert_lines_are_whole()
    rig.assert_clips_are_whole()
