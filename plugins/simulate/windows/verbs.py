"""The whole vocabulary of simulated Windows hosts: a twin for every verb of the PowerShell library."""

from __future__ import annotations

from plugins.simulate.vocabulary import Verb
from plugins.simulate.windows import (
    facts,
    verbs_downloads,
    verbs_files,
    verbs_overlay,
    verbs_probe,
    verbs_services,
    verbs_system,
    verbs_traffic,
)

VERBS: dict[str, Verb] = {
    **verbs_files.VERBS,
    **verbs_downloads.VERBS,
    **verbs_services.VERBS,
    **verbs_system.VERBS,
    **verbs_overlay.VERBS,
    **verbs_probe.VERBS,
    **verbs_traffic.VERBS,
    **facts.VERBS,
}
