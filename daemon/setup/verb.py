"""`canceld install` and `canceld uninstall`: the package's files onto a machine, and away from it.

Each version does it for itself, out of the environment it is installed in. So upgrading is the newer version's
`install`, and going back is the older one's.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.resources import files as package_files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from ..verbs.exit_status import DONE, NOT_DONE, USAGE
from ..verbs.output import complain, say, say_json
from .layout import (
    COMMAND,
    ENVIRONMENT,
    PROGRAM,
    configuration,
    configuration_for,
    credentials,
    drop_in,
    drop_ins,
    files,
    name_of,
)
from .place import CannotPlace, Place

PARTS: Final = ("systemd", "config")
"""Folders that an installed package holds, and that stand beside it in a clone."""

CREDENTIALS_MODE: Final = 0o700
UMASK: Final = 0o022
"""Whatever the caller's: the service's user, and every reader, must get in."""

MANAGER: Final = Path("/run/systemd/system")
"""There while systemd is what runs this machine."""

TOLD_TO_MANAGER: Final = (
    ("systemd-sysusers", "canceld.conf"),
    ("systemd-tmpfiles", "--create", "canceld.conf"),
    ("systemctl", "daemon-reload"),
)

STEP_S: Final = 60.0
"""The longest that the service manager may take for one of them: a machine that is busy, not one that hangs."""


def install(asked: argparse.Namespace) -> int:
    """Lay everything of this version, and lead the link to its environment. Files of an operator are kept."""
    return _carried_out(_install, asked)


def uninstall(asked: argparse.Namespace) -> int:
    """Remove what was laid. Refused while a daemon is enabled or runs."""
    return _carried_out(_uninstall, asked)


def _carried_out(what: Callable[[Place, argparse.Namespace], int], asked: argparse.Namespace) -> int:
    def tell(done: str, path: str, remark: str) -> None:
        if asked.json:
            say_json({"done": done, "path": path, "remark": remark})
        else:
            say(f"{done:<8}  {path}{remark and f': {remark}'}")

    os.umask(UMASK)
    try:
        return what(Place(Path(asked.root).absolute(), tell, dry=asked.dry_run), asked)
    except CannotPlace as why:
        complain(why)
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}")
    return USAGE


def _install(place: Place, asked: argparse.Namespace) -> int:
    environment = _environment(place.root)
    if environment is None and place.root == Path("/"):
        raise CannotPlace(
            f"this program is in {sys.prefix}, and the units start what the link /{PROGRAM} leads to: "
            f"make its environment in /{PROGRAM}-VERSION"
        )
    accounts = _accounts(place, asked.account)
    package = package_files("canceld")
    for file in files(page.name for page in package.joinpath("pages").iterdir() if page.name.endswith(".md")):
        place.lay(file.path, _source(package, file.source).read_bytes())
    shipped = _source(package, "config/canceld.toml").read_text(encoding="utf-8")
    for account in dict.fromkeys((None, asked.account)):
        place.lay_once(configuration(account), configuration_for(account, shipped).encode())
        place.make(credentials(account), CREDENTIALS_MODE)
    for account in accounts:
        text = drop_in(account, place.names(credentials(account)))
        for path in drop_ins(account) if text is not None else ():
            place.lay(path, (text or "").encode())
    place.remove_laid()
    place.record()
    if environment is None:
        place.told("left", PROGRAM, f"this program is in {sys.prefix}, not in {place.root}/{PROGRAM}-VERSION")
    else:
        # At last: until here everything that runs or starts is of the version before.
        place.link(PROGRAM, environment)
    place.link(COMMAND, f"/{PROGRAM}/bin/canceld")
    return _tell_manager(place, TOLD_TO_MANAGER)


def _uninstall(place: Place, asked: argparse.Namespace) -> int:
    if used := next(_in_use(place), None):
        raise CannotPlace(f"{used}: systemctl disable --now it first")
    if not place.laid:
        raise CannotPlace(f"nothing that `canceld install` has laid is below {place.root}")
    place.remove_laid()
    place.record()
    for link in (COMMAND, PROGRAM):
        place.unlink(link)
    for account in _accounts(place, None):
        for path, what in (("etc", "configuration and keys"), ("var/lib", "state and record")):
            if place.is_there(f"{path}/{name_of(account)}"):
                place.told("left", f"{path}/{name_of(account)}", what)
    for name in place.names("opt"):
        if ENVIRONMENT.fullmatch(f"opt/{name}"):
            place.told("left", f"opt/{name}", "the program itself")
    return _tell_manager(place, TOLD_TO_MANAGER[-1:])


def _environment(root: Path) -> str | None:
    """What the link has to say, seen from beside it; None where this program is elsewhere."""
    prefix = Path(sys.prefix)
    if not prefix.is_relative_to(root) or not ENVIRONMENT.fullmatch(str(prefix.relative_to(root))):
        return None
    return prefix.name


def _accounts(place: Place, another: str | None) -> list[str | None]:
    """The first account, which has no name, and every other one that has a configuration here, or is about to."""
    found = [name.removeprefix("canceld-") for name in place.names("etc") if name.startswith("canceld-")]
    return [None, *dict.fromkeys([*found, *([another] if another else [])])]


def _in_use(place: Place) -> Iterator[str]:
    """Units that are enabled, and daemons that run, by what they leave in the file system."""
    system = "etc/systemd/system"
    for directory in place.names(system):
        if directory.endswith(".wants"):
            for unit in place.names(f"{system}/{directory}"):
                if unit.startswith(("canceld.", "canceld@", "canceld-")):
                    yield f"{unit} is enabled"
    for name in place.names("run"):
        if name == "canceld" or name.startswith("canceld-"):
            yield f"{name.replace('-', '@', 1)}.service runs"


def _source(package: Traversable, path: str) -> Traversable:
    inside = package.joinpath(path)
    if path.partition("/")[0] in PARTS and not inside.is_file():
        # A clone that is imported as it stands has them beside the package.
        return Path(str(package)).resolve().parent.joinpath(path)
    return inside


def _tell_manager(place: Place, commands: tuple[tuple[str, ...], ...]) -> int:
    """Have systemd take over what was laid, where this is the machine it runs."""
    if place.root != Path("/") or not MANAGER.is_dir():
        return DONE
    status = DONE
    for command in commands:
        line = " ".join(command)
        try:
            if not place.dry:
                subprocess.run(command, check=True, capture_output=True, timeout=STEP_S)
        except (OSError, subprocess.SubprocessError) as error:
            detail = getattr(error, "stderr", None) or str(error).encode()
            complain(f"{line}: {detail.decode(errors='replace').strip()}; run it again by hand")
            status = NOT_DONE
        else:
            place.told("run", line)
    return status
