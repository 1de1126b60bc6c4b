"""Which files belong where on a machine, as a table. It touches nothing.

Paths begin at the machine's root and have no slash before them, so that they can be joined to another root.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

UNITS: Final = (
    "canceld.service",
    "canceld@.service",
    "canceld-panic.service",
    "canceld-panic@.service",
    "canceld-exporter.service",
    "canceld-exporter@.service",
    "canceld-ship@.service",
    "canceld-agent@.service",
)

DROP_INS: Final = (
    "canceld-addresses.conf",
    "canceld-fleet.conf",
    "dedicated-host/fifo.conf",
    "dedicated-host/nice.conf",
    "dedicated-host/pinned.conf",
)
"""For whoever wants them: laid beside the pages, where systemd does not look."""

PAGES: Final = "usr/share/doc/canceld"
"""Where the units' Documentation= finds the pages."""

LAID: Final = "usr/local/share/canceld/laid"
"""What was laid, as `sha256sum --check` reads it: what differs from it was changed by hand."""

PROGRAM: Final = "opt/canceld"
"""The link to the environment in use; the units start what is behind it."""

COMMAND: Final = "usr/local/bin/canceld"

ENVIRONMENT: Final = re.compile(r"opt/canceld-[^/]+")
"""The environment of one version."""

ACCOUNT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Also a part of directories' and sockets' names; those of sockets end at 107 characters."""

KEYS: Final = tuple(f"{venue}.{part}" for venue in ("spot", "prime", "futures") for part in ("key", "secret"))

KEYS_OF_UNIT: Final = KEYS[:2]
"""Those that the units name themselves."""

_OWN_DIRECTORIES: Final = re.compile(r"(/run|/var/lib)/canceld\b")


class File(NamedTuple):
    """A file of the package, by its path inside it, and where it belongs."""

    source: str
    path: str


def files(pages: Iterable[str]) -> Iterator[File]:
    """Every file that is ours, whatever the accounts. pages: the names of the pages."""
    for unit in UNITS:
        yield File(f"systemd/{unit}", f"etc/systemd/system/{unit}")
    yield File("systemd/canceld.sysusers.conf", "etc/sysusers.d/canceld.conf")
    yield File("systemd/canceld.tmpfiles.conf", "etc/tmpfiles.d/canceld.conf")
    for page in sorted(pages):
        yield File(f"pages/{page}", f"{PAGES}/{page}")
    for name in DROP_INS:
        yield File(f"systemd/{name}", f"{PAGES}/{name}")
    for name in ("config/canceld.toml", "config/prometheus/alerts.yml"):
        yield File(name, f"{PAGES}/{name.rpartition('/')[2]}")
    yield File("config/grafana/canceld.json", f"{PAGES}/grafana.json")
    yield File("setup/made/canceld.bash", "usr/local/share/bash-completion/completions/canceld")
    yield File("setup/made/canceld.zsh", "usr/local/share/zsh/site-functions/_canceld")
    yield File("setup/made/canceld.1", "usr/local/share/man/man1/canceld.1")


def name_of(account: str | None) -> str:
    """What directories of an account are called: canceld, or canceld-NAME."""
    return f"canceld-{account}" if account else "canceld"


def configuration(account: str | None) -> str:
    """Where an account's configuration is."""
    return f"etc/{name_of(account)}/canceld.toml"


def credentials(account: str | None) -> str:
    """Where an account's keys are."""
    return f"etc/{name_of(account)}/credentials"


def configuration_for(account: str | None, text: str) -> str:
    """The configuration as shipped, with the sockets and the state of this account."""
    return _OWN_DIRECTORIES.sub(rf"\1/{name_of(account)}", text)


def drop_ins(account: str | None) -> tuple[str, ...]:
    """Where the units of an account are told which keys there are."""
    instance = f"@{account}" if account else ""
    return tuple(f"etc/systemd/system/{unit}{instance}.service.d/keys.conf" for unit in ("canceld", "canceld-panic"))


def drop_in(account: str | None, there: Iterable[str]) -> str | None:
    """What it says for these names of files; None where the unit says the same. A missing file would stop the unit."""
    found = [name for name in KEYS if name in set(there)]
    if not found or found == list(KEYS_OF_UNIT):
        return None
    directory = credentials(account)
    lines = [f"LoadCredential={name}:/{directory}/{name}" for name in found]
    told = f"# Written by `canceld install`: the key files in /{directory}. To be run again after one is added."
    return "\n".join([told, "[Service]", "LoadCredential=", *lines, ""])
