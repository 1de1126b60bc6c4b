"""One machine's files, below one root: looked at, laid, linked and removed, each step told. Nothing is half written."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from .layout import LAID

FILE_MODE: Final = 0o644
BEFORE: Final = ".before"
"""What the name of a file ends with that was changed by hand, and gave way to ours."""

DID: Final = {"lay": "laid", "replace": "replaced", "link": "linked", "remove": "removed", "make": "made", "run": "ran"}
"""Steps that a dry run only tells of; all others change nothing anyhow."""


class CannotPlace(Exception):
    """It cannot be done; the text is one line with the mend."""


class Place:
    """What lies below `root`. Every method raises CannotPlace where the system refuses a step."""

    def __init__(self, root: Path, tell: Callable[[str, str, str], None], *, dry: bool) -> None:
        """tell: hears of each step what was done, to which path, and a remark. dry: change nothing.

        Raises CannotPlace where there is no such directory, or it may not be written to: at once, not half way.
        """
        try:
            there, writable = root.is_dir(), os.access(root, os.R_OK | os.W_OK | os.X_OK, effective_ids=True)
        except PermissionError:
            there, writable = True, False
        if not there:
            raise CannotPlace(f"--root {root}: no such directory")
        if not writable and not dry:
            raise CannotPlace(f"--root {root}: user {os.geteuid()} may not write there; run this as root")
        self.root, self.dry = root, dry
        self._tell = tell
        self._laid = dict(self._manifest())
        self._seen: dict[str, str] = {}
        """What was laid this time; no digest where an operator's link stands in its place."""

    def told(self, step: str, path: str, remark: str = "") -> None:
        """Tell of a step: lay, replace, link, remove, make, run; or same, kept, left."""
        word = f"would {step}" if self.dry and step in DID else DID.get(step, step)
        self._tell(word, path if step == "run" else f"/{path}", remark)

    def is_there(self, path: str) -> bool:
        """Whether anything is, also a link that leads nowhere."""
        return os.path.lexists(self.root / path)

    def names(self, path: str) -> list[str]:
        """What is in a directory; nothing where there is none."""
        try:
            return sorted(os.listdir(self.root / path))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise self._refused(path, error) from None

    def make(self, path: str, mode: int) -> None:
        """A directory, unless it is there; those above it are open to all."""
        directory = self.root / path
        if directory.is_dir():
            return
        self.told("make", path)
        if not self.dry:
            try:
                self._parents(directory)
                directory.mkdir()
                directory.chmod(mode)
            except OSError as error:
                raise self._refused(path, error) from None

    def lay_once(self, path: str, content: bytes) -> None:
        """A file that is the operator's as soon as it is there."""
        if self.is_there(path):
            self.told("kept", path, "it is yours")
            return
        self.told("lay", path)
        self._write(path, content)

    def lay(self, path: str, content: bytes) -> None:
        """A file of ours. One that was changed by hand is kept beside it."""
        self._seen[path] = _digest(content)
        file = self.root / path
        if file.is_symlink():
            self._seen[path] = ""
            self.told("kept", path, f"it is a link of yours to {os.readlink(file)}")
            return
        present = self._digest_of(path)
        if present == self._seen[path]:
            self.told("same", path)
            return
        if present is None:
            self.told("lay", path)
        else:
            self._put_aside(path, present, "replace")
        self._write(path, content)

    def _remove(self, path: str) -> None:
        file = self.root / path
        if file.is_symlink():
            self.told("kept", path, "it is a link of yours")
            return
        present = self._digest_of(path)
        if present is not None:
            self._put_aside(path, present, "remove")
            self._unlink(path)

    def remove_laid(self) -> None:
        """Whatever was laid before, also by another version, and not since the beginning."""
        for path in self._laid:
            if path not in self._seen:
                self._remove(path)

    def link(self, path: str, target: str) -> None:
        """A link of ours, replaced in one step."""
        file = self.root / path
        before = os.readlink(file) if file.is_symlink() else None
        if before is None and self.is_there(path):
            raise CannotPlace(f"{file} is there and is no link; move it away")
        if before == target:
            self.told("same", path, f"to {target}")
            return
        self.told("link", path, f"to {target}{f', was {before}' if before else ''}")
        if not self.dry:
            unfinished = file.with_name(f".{file.name}.new")
            try:
                self._parents(file)
                with suppress(FileNotFoundError):
                    unfinished.unlink()
                unfinished.symlink_to(target)
                unfinished.replace(file)
            except OSError as error:
                raise self._refused(path, error) from None

    def unlink(self, path: str) -> None:
        """A link of ours, where it is there."""
        if (self.root / path).is_symlink():
            self.told("remove", path)
            self._unlink(path)

    def record(self) -> None:
        """Write down what was laid since the beginning; with nothing laid, that nothing is."""
        lines = "".join(f"{digest}  /{path}\n" for path, digest in self._seen.items() if digest)
        if self.dry or (not lines and not self._laid):
            return
        if lines:
            self._write(LAID, lines.encode())
        else:
            self._unlink(LAID)

    @property
    def laid(self) -> dict[str, str]:
        """What was laid before, with its digest."""
        return dict(self._laid)

    def _manifest(self) -> Iterator[tuple[str, str]]:
        with suppress(FileNotFoundError, NotADirectoryError):
            try:
                text = (self.root / LAID).read_text()
            except PermissionError as error:
                raise self._refused(LAID, error) from None
            except UnicodeDecodeError:
                raise CannotPlace(f"{self.root / LAID}: is no text; remove it, and everything is laid anew") from None
            for line in text.splitlines():
                digest, _, path = line.partition("  /")
                if path and ".." not in path.split("/"):
                    yield path, digest

    def _digest_of(self, path: str) -> str | None:
        try:
            return _digest((self.root / path).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._refused(path, error) from None

    def _put_aside(self, path: str, present: str, step: str) -> None:
        by_hand = self._laid.get(path) != present
        aside = f"{path.rpartition('/')[2]}{BEFORE}"
        self.told(step, path, f"changed by hand; what it was is in {aside}" if by_hand else "")
        if by_hand and not self.dry:
            try:
                (self.root / path).rename((self.root / path).with_name(aside))
            except OSError as error:
                raise self._refused(path, error) from None

    def _write(self, path: str, content: bytes) -> None:
        if self.dry:
            return
        file = self.root / path
        unfinished = file.with_name(f".{file.name}.new")
        try:
            self._parents(file)
            with suppress(FileNotFoundError):
                unfinished.unlink()
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
            with open(descriptor, "wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            unfinished.replace(file)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink()
            raise self._refused(path, error) from None

    def _unlink(self, path: str) -> None:
        if self.dry:
            return
        file = self.root / path
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise self._refused(path, error) from None
        for directory in (file.parent, file.parent.parent):
            # Directories that only we have made; an operator's file in one keeps it.
            if directory.name.endswith(".service.d") or "canceld" in directory.relative_to(self.root).parts:
                with suppress(OSError):
                    directory.rmdir()

    def _parents(self, file: Path) -> None:
        missing = [one for one in file.parents if one != self.root and not one.exists()]
        for directory in reversed(missing):
            directory.mkdir()

    def _refused(self, path: str, error: OSError) -> CannotPlace:
        mend = "; run this as root" if isinstance(error, PermissionError) and os.geteuid() else ""
        return CannotPlace(f"{self.root / path}: {error.strerror or error}{mend}")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
