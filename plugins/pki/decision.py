"""May an authority be made? Decided from what the state folder knows and what the master holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Create:
    """Neither side has an authority: make one."""


@dataclass(frozen=True)
class Keep:
    """The state folder has the authority, and the master has the same one or none yet."""


@dataclass(frozen=True)
class Refuse:
    """Going on would split the cluster: `reason` says what was seen, `todo` what to do."""

    reason: str
    todo: str


Decision = Create | Keep | Refuse


def authority_decision(state: str | None, master: str | None) -> Decision:
    """Compare the fingerprints of the state folder's and the master's CA; None means that it has none.

    A second authority would cut off every host that trusts the first, so none is made while the master
    holds one that the state folder does not know.
    """
    if master is None:
        return Create() if state is None else Keep()
    if state == master:
        return Keep()
    seen = "no CA" if state is None else f"another CA ({state})"
    return Refuse(
        reason=f"the master trusts a CA ({master}) and the state folder has {seen}",
        todo="use the state folder that this cluster was made with, or restore it from a backup; to give the "
        "cluster a new CA on purpose, first take the old CA file off the master",
    )


def key_decision(name: str, state: str | None, master: str | None) -> Decision:
    """Compare public keys of the state folder's and the master's `name` key; None means that it has none."""
    if master is None or state == master:
        return Create() if state is None else Keep()
    seen = "none" if state is None else "another one"
    return Refuse(
        reason=f"the master has a {name} key and the state folder has {seen}",
        todo="use the state folder that this cluster was made with, or restore it from a backup",
    )
