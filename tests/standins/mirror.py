"""Make a mirror folder of stand-ins: `python tests/standins/mirror.py FOLDER [RELEASE_FILE]`.

TEST CODE: it takes the place of a mirror with real programs where none is given. Its layout is a mirror's, its
versions are the release's, and no release list ever names what is in it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

HERE = Path(__file__).parent
RELEASE = HERE.parents[1] / "inventory" / "releases" / "current.yaml"
PLATFORM = "linux/amd64"
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl", "ovnkube")
MOMENT = (2020, 1, 1, 0, 0, 0)
"""Same input, same bytes: a mirror that is made twice must not look like another one."""


def program(component: str, version: str) -> bytes:
    """An executable archive of the package, with all that it needs but Python's own library and openssl."""
    files = {f"standin/{file.name}": file.read_bytes() for file in sorted((HERE / "standin").glob("*.*"))}
    files |= {
        f"standin/flags/{file.name}": file.read_bytes() for file in sorted((HERE / "standin/flags").glob("*.txt"))
    }
    files |= {f"yaml/{file.name}": file.read_bytes() for file in sorted(Path(yaml.__file__).parent.glob("*.py"))}
    files["standin/standin.json"] = json.dumps({"component": component, "version": version}).encode()
    files["__main__.py"] = b"import sys\nfrom standin.__main__ import main\nsys.exit(main())\n"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, MOMENT), data, zipfile.ZIP_DEFLATED)
    return b"#!/usr/bin/env python3\n" + content.getvalue()


def plugins(members: Mapping[str, bytes]) -> bytes:
    """A compressed archive of executables."""
    content = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=content, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name, data in members.items():
            _add(archive, f"./{name}", data, 0o755)
    return content.getvalue()


def image(reference: str) -> bytes:
    """An OCI archive of an image that holds one text file and could not run."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        _add(archive, "STAND-IN", b"This image is a stand-in for tests; there is no program in it.\n", 0o644)
    blobs: dict[str, bytes] = {}

    def keep(kind: str, data: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    tar = keep("layer.v1.tar", layer.getvalue())
    settings = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/STAND-IN"]}}
    settings |= {"rootfs": {"type": "layers", "diff_ids": [tar["digest"]]}}
    config = keep("config.v1+json", json.dumps(settings).encode())
    manifest = {"schemaVersion": 2, "config": config, "layers": [tar]}
    manifest["mediaType"] = "application/vnd.oci.image.manifest.v1+json"
    entry = keep("manifest.v1+json", json.dumps(manifest).encode())
    entry["annotations"] = {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference}
    index = {"schemaVersion": 2, "manifests": [entry]}
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        _add(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}', 0o644)
        _add(archive, "index.json", json.dumps(index).encode(), 0o644)
        for name, data in blobs.items():
            _add(archive, name, data, 0o644)
    return content.getvalue()


def files(artifacts: list[dict[str, Any]]) -> dict[str, bytes]:
    """Every file of the mirror, by path: one for each artifact of Linux hosts."""
    made = {}
    for each in artifacts:
        name, version = each["name"], str(each["version"])
        if PLATFORM not in {**each.get("urls", {}), **each.get("mirror", {})}:
            continue
        place = each.get("mirror", {}).get(PLATFORM, "")
        if not place:
            url = urlsplit(each["urls"][PLATFORM].format(version=version))
            place = f"{url.netloc}{url.path}"
        if each["kind"] == "image":
            made[place] = image(each["image"].format(version=version))
        elif each["kind"] == "archive":
            made[place] = plugins({member: program(member, version) for member in each["members"]})
        else:
            made[place] = program(name, version)
    return made


def build(folder: Path, release: Path = RELEASE) -> list[Path]:
    """Write the mirror of a release; the paths of its files."""
    artifacts = yaml.safe_load(release.read_text())["artifacts"]
    written = []
    for place, data in files(artifacts).items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755 if data.startswith(b"#!") else 0o644)
        written.append(path)
    return written


def _add(archive: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))


if __name__ == "__main__":
    for made in build(Path(sys.argv[1]), *map(Path, sys.argv[2:])):
        print(made)
