"""What a run that lacks a download is told, before any host is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.artifacts.mirror import Mirror
from plugins.artifacts.model import Artifact, Platform
from plugins.artifacts.pins import Pins
from plugins.artifacts.plan import Downloads
from plugins.errors import SettingsError
from plugins.inventory.model import Role
from plugins.releases import SHIPPED, load_release

ARTIFACTS = load_release("current", SHIPPED).artifacts
LINUX = [each for each in ARTIFACTS if Role.LINUX in each.roles]
PIN = "0" * 64


def told(pins: Pins, mirror: Mirror | None = None, artifacts: list[Artifact] = LINUX) -> str:
    """What the check says; empty where all is well."""
    try:
        Downloads(ARTIFACTS, pins, mirror).check(artifacts)
    except SettingsError as error:
        return str(error)
    return ""


def pinned(platform: Platform = Platform.LINUX_AMD64) -> Pins:
    files = {each.source(platform): PIN for each in LINUX if platform in each.platforms}
    return Pins(release="current", files=files)


def test_what_has_one_remedy_is_one_line() -> None:
    """Without any pin the same command makes all of them; images that nodes pull themselves need none."""
    (line,) = told(Pins(release="current")).splitlines()
    assert line.startswith("kubectl v")
    assert line.endswith(": not pinned; run `python -m runbooks.artifacts lock`")
    assert "ovnkube" in line
    assert "coredns" not in line


def test_pins_of_a_mirror_ask_for_the_mirror() -> None:
    """What upstream publishes as an image only is pinned as the mirror's file: without the mirror nobody has it."""
    said = told(pinned())
    assert said.endswith("pinned in a mirror, and none is given; give it, as --mirror URL_OR_DIR")
    assert "kubelet" not in said
    assert not told(pinned(), Mirror(url="http://mirror.example.org"))
    images = {each.reference: f"sha256:{PIN}" for each in LINUX if each.reference}
    assert not told(pinned().model_copy(update={"images": images})), "nodes take it out of the image"


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_that_is_not_pinned(tmp_path: Path, there: bool) -> None:
    """It says whether the folder holds the file, and where it would be looked for."""
    kubelet = next(each for each in LINUX if each.name == "kubelet")
    place = tmp_path / kubelet.place(Platform.LINUX_AMD64)
    if there:
        place.parent.mkdir(parents=True)
        place.write_text("kubelet")
    said = told(Pins(release="current"), Mirror(folder=tmp_path), [kubelet])
    assert (f"{tmp_path} holds it; run `python -m runbooks.artifacts lock --mirror {tmp_path}`" in said) is there
    assert (f"put it there at {kubelet.place(Platform.LINUX_AMD64)}" in said) is not there


def test_what_nobody_publishes_is_to_be_provided() -> None:
    """The words say where it goes."""
    (hybrid,) = [each for each in ARTIFACTS if each.provide]
    said = told(Pins(release="current"), None, [hybrid])
    assert "published nowhere; put it into a mirror at provided/hybrid-overlay-node.exe" in said
