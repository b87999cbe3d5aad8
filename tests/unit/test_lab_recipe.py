"""The image's recipe: a change of it is another image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from plugins.lab.image import ensure_layers, remove_unused
from plugins.lab.lock import in_use
from plugins.lab.mirror import Sources
from plugins.lab.recipe import Recipe, read_recipe, release_packages

SOURCES = Sources("trixie", "http://m.example/debian", ("main",), ("deb http://m.example/debian trixie main",))


@pytest.mark.parametrize(
    ("text", "packages"),
    [
        ("packages: {master: [b, a], linux: [a, c], windows: [w]}", ("a", "b", "c")),
        ("packages: {master: [a]}", ("a",)),
        ("packages: {master: null}", ()),
        ("name: current", ()),
        ("", ()),
    ],
)
def test_packages_of_all_linux_roles_are_fetched_ahead(text: str, packages: tuple[str, ...]) -> None:
    """The union of the roles, in order; a release that names none is no error."""
    assert release_packages(text) == packages


def test_a_release_that_is_not_there_names_no_packages(tmp_path: Path) -> None:
    """The lab works before any release file is written."""
    assert read_recipe(SOURCES, tmp_path / "none.yaml").prefetch == ()


def test_another_mirror_or_certificate_is_another_base() -> None:
    """Both layers get other names: the upper one stands on the lower."""
    plain = Recipe(SOURCES)
    for other in (Recipe(replace(SOURCES, suite="forky")), Recipe(SOURCES, authorities=(("ca.crt", "PEM"),))):
        assert not set(other.layers) & set(plain.layers)


def test_other_packages_are_only_another_upper_layer() -> None:
    """A changed release does not cost a new base."""
    plain, more = Recipe(SOURCES), Recipe(SOURCES, prefetch=("openvswitch-switch",))
    assert plain.base == more.base
    assert plain.packages != more.packages
    assert more.packages == Recipe(SOURCES, prefetch=("openvswitch-switch",)).packages


def test_layers_in_the_cache_are_used_and_rests_of_a_killed_build_are_not(tmp_path: Path) -> None:
    """Only a folder with the recipe's name counts; what a killed build left is cleared away."""
    recipe, said = Recipe(SOURCES), list[str]()
    for name in recipe.layers:
        (tmp_path / name).mkdir()
    (tmp_path / ".build-x" / "layer").mkdir(parents=True)
    assert ensure_layers(tmp_path, recipe, said.append) == (tmp_path / recipe.packages, tmp_path / recipe.base)
    assert not said
    assert not (tmp_path / ".build-x").exists()


def test_a_layer_that_a_host_stands_on_is_not_deleted(tmp_path: Path) -> None:
    """Neither this lab's own layers nor those that a host of another lab holds."""
    for name in ("base-own", "base-other", "base-old"):
        (tmp_path / name).mkdir()
    with in_use([tmp_path / "base-other"]):
        remove_unused(tmp_path, {"base-own"})
    assert sorted(layer.name for layer in tmp_path.iterdir()) == ["base-other", "base-own"]
