"""Where an agent stands in its fleet: which keys of the bus concern it."""

from typing import Literal, NamedTuple, TypeAlias

Follow: TypeAlias = Literal["all", "account", "none"]
"""Whose local kills are pulled here too: every host's, those of daemons of the same account, nobody's."""


class Place(NamedTuple):
    """One daemon of a fleet."""

    fleet: str
    host: str
    account: str
    groups: tuple[str, ...] = ()
    follow: Follow = "account"

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes of kill orders that reach this daemon, widest first."""
        return ("fleet", *(f"group.{name}" for name in self.groups), f"account.{self.account}")

    def follows(self, host: str, account: str) -> bool:
        """Whether a local kill of that daemon is pulled here too."""
        if host == self.host and account == self.account:
            # Our own key tells what we wrote, maybe before we were re-armed: never what to do.
            return False
        return self.follow == "all" or (self.follow == "account" and account == self.account)
