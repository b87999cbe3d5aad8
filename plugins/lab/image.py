"""The image of the hosts: a base made once by debootstrap, and a layer of downloaded packages on it.

Both are folders that hosts' overlays stand on. Each is built in a folder whose name begins with a dot and
renamed when it is whole: a killed build leaves nothing that is ever used.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from plugins.errors import RunbookError
from plugins.lab.commands import run, tail
from plugins.lab.lock import is_in_use, locked
from plugins.lab.options import USER
from plugins.lab.progress import Say, timed
from plugins.lab.recipe import APT_CONF, FILES, Recipe

BUILD_SECONDS = 1800

# Ends with us, even when we are killed, and its mounts with it.
ALONE = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--propagation", "slave", "--pid", "--fork", "--kill-child", "--mount-proc"),
)


def ensure_layers(images: Path, recipe: Recipe, say: Say) -> tuple[Path, ...]:
    """The layers of `recipe` as folders, topmost first; built when they are not in the cache."""
    images.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(images / "lock", "the image cache", wait=BUILD_SECONDS):
        for left in images.glob(".build-*"):
            shutil.rmtree(left)
        base, packages = images / recipe.base, images / recipe.packages
        if not base.exists():
            _build(base, f"build the base image ({recipe.sources.suite})", say, lambda new: _bootstrap(new, recipe))
        if not packages.exists():
            what = f"download packages: {' '.join(recipe.prefetch)}" if recipe.prefetch else "read package lists"
            _build(packages, what, say, lambda new: _prefetch(new, base, recipe.prefetch))
    return (packages, base)


def remove_unused(images: Path, used: Collection[str]) -> None:
    """Delete cached layers that are not named in `used` and that no running host, of any lab, stands on."""
    for layer in images.glob("*-*"):
        if layer.is_dir() and layer.name not in used and not is_in_use(layer):
            shutil.rmtree(layer)


def _build(target: Path, what: str, say: Say, make: Callable[[Path], None]) -> None:
    new = Path(tempfile.mkdtemp(prefix=".build-", dir=target.parent))
    try:
        with timed(say, what), _public_files():
            make(new)
            # All of it on the disk before its name says that it is whole.
            run(["sync", "--file-system", str(new)], timeout=300)
            (new / "layer").rename(target)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _bootstrap(new: Path, recipe: Recipe) -> None:
    layer, sources = new / "layer", recipe.sources
    options = [
        "--variant=minbase",
        f"--include={','.join(recipe.include)}",
        f"--components={','.join(sources.components)}",
    ]
    done = run(
        [*ALONE, "debootstrap", *options, sources.suite, str(layer), sources.mirror],
        env={**os.environ, **sources.proxies},
        timeout=BUILD_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        log = layer / "debootstrap/debootstrap.log"
        said = done.stdout + (log.read_text(errors="replace") if log.exists() else "")
        raise RunbookError(f"debootstrap of {sources.suite} from {sources.mirror} failed:\n{tail(said)}")
    (layer / "etc/apt/sources.list").write_text(sources.sources_list)
    (layer / "etc/apt/apt.conf.d/90lab").write_text(APT_CONF + sources.apt_conf)
    for name, text in recipe.authorities:
        (layer / "usr/local/share/ca-certificates" / name).write_text(text)
    (layer / "usr/local/lib").mkdir(parents=True, exist_ok=True)
    shutil.copy(FILES / "lab-machine", layer / "usr/local/lib/lab-machine")
    shutil.copy(FILES / "lab-machine.service", layer / "etc/systemd/system/lab-machine.service")
    _run_inside(layer, "prepare_image.sh", USER)


def _prefetch(new: Path, base: Path, packages: Sequence[str]) -> None:
    for part in ("layer", "work", "root"):
        (new / part).mkdir()
    overlay = f"lowerdir={base},upperdir={new}/layer,workdir={new}/work"
    _run_inside(new / "root", "prefetch.sh", *packages, layers=overlay)


def _run_inside(root: Path, script: str, *arguments: str, layers: str = "") -> None:
    """Run one of our scripts in the image, on the machine's own network."""
    command = [*ALONE, "sh", str(FILES / "run_in_image.sh"), str(root), str(FILES / script), *arguments]
    run(command, env={**os.environ, "LAYERS": layers}, timeout=BUILD_SECONDS)


@contextmanager
def _public_files() -> Iterator[None]:
    """Files of an image are readable inside it, whatever mask the operator works with."""
    mask = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(mask)
