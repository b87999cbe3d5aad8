"""What a release says about the files that it downloads: the typed form of its list `artifacts`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StrictBool, StrictStr, model_validator
from pydantic_core import PydanticCustomError

from plugins.inventory.fields import Word
from plugins.inventory.model import Model, Role
from plugins.words import quoted


class Kind(StrEnum):
    """What becomes of an artifact on a host."""

    FILE = "file"
    ARCHIVE = "archive"
    IMAGE = "image"
    CONTAINER_FILE = "container-file"


class Platform(StrEnum):
    """Operating system and processor architecture, as Go names them."""

    LINUX_AMD64 = "linux/amd64"
    LINUX_ARM64 = "linux/arm64"
    WINDOWS_AMD64 = "windows/amd64"

    @property
    def system(self) -> str:
        """The operating system: linux or windows."""
        return self.value.partition("/")[0]

    @property
    def architecture(self) -> str:
        """The processor architecture: amd64 or arm64."""
        return self.value.partition("/")[2]


def system_of(role: Role) -> str:
    """Name the operating system of a role's hosts: linux or windows."""
    return "windows" if role is Role.WINDOWS else "linux"


def _matching(pattern: str, what: str, todo: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            message = "{value} is no {what}; {todo}"
            raise PydanticCustomError("artifact", message, {"value": quoted(value), "what": what, "todo": todo})
        return value

    return AfterValidator(check)


_NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]*"
_BRACED = r"(\{version\}|[A-Za-z0-9._+@:-])+"
_REFERENCE = r"[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+:" + _BRACED

ArtifactName = Annotated[
    StrictStr, _matching(r"[a-z0-9][a-z0-9.-]*", "name", "write lower-case letters, digits, dots and hyphens")
]
Sha256 = Annotated[
    StrictStr, _matching(r"[0-9a-f]{64}", "SHA-256", "write its 64 lower-case hexadecimal digits, in quotes")
]
Digest = Annotated[StrictStr, _matching(r"sha256:[0-9a-f]{64}", "image digest", "write sha256: and 64 digits")]
Url = Annotated[
    StrictStr,
    _matching(
        rf"https://[a-z0-9.-]+(:[0-9]+)?(/{_BRACED})+",
        "download's address",
        "write https://HOST/PATH; {version} stands for the version",
    ),
]
Place = Annotated[
    StrictStr,
    _matching(
        rf"(?!.*(^|/)\.\.?(/|$)){_BRACED}(/{_BRACED})*",
        "place in a mirror",
        "write a relative path, as in provided/FILE",
    ),
]
HostPath = Annotated[
    StrictStr,
    _matching(
        rf"(/{_NAME})+|[A-Z]:(\\{_NAME})+", "path on a host", "write /FOLDER/FILE, or C:\\FOLDER\\FILE for Windows"
    ),
]
Member = Annotated[StrictStr, _matching(rf"{_NAME}(/{_NAME})*", "member of an archive", "write its path in there")]
Mode = Annotated[StrictStr, _matching(r"0[0-7]{3}", "mode", 'write four octal digits in quotes, as in "0755"')]
Reference = Annotated[
    StrictStr, _matching(_REFERENCE, "image reference", "write REGISTRY/NAME:TAG; {version} stands for the version")
]
ChecksumUrl = Annotated[
    StrictStr,
    _matching(
        rf"(\{{url\}}|https://[a-z0-9.-]+(/{_BRACED})+)[A-Za-z0-9._-]*",
        "checksum file's address",
        "write https://HOST/PATH; {url} stands for the artifact's own",
    ),
]

_NEEDED = {
    Kind.FILE: ("path",),
    Kind.ARCHIVE: ("path",),
    Kind.IMAGE: ("image",),
    Kind.CONTAINER_FILE: ("image", "inside", "path"),
}
_ALLOWED = {
    Kind.FILE: {"path", "mode", "urls", "checksum", "sha256", "mirror", "provide"},
    Kind.ARCHIVE: {"path", "mode", "members", "urls", "checksum", "sha256", "mirror", "provide"},
    Kind.IMAGE: {"image", "mirror"},
    Kind.CONTAINER_FILE: {"path", "mode", "image", "inside", "mirror"},
}
_COMMON = {"name", "version", "kind", "roles"}


class Artifact(Model):
    """One thing that a release downloads, for all platforms that have it.

    It has an upstream address by platform (`urls`), or a place in a mirror (`mirror`) where nothing is published
    as a plain file. `path` is where a file goes, and the folder of an archive's members.
    """

    name: ArtifactName = Field(description="what it is called in lists and messages")
    version: Word = Field(description="the version, as it stands in the address")
    kind: Kind = Field(description="file, archive, image or container-file")
    roles: Annotated[tuple[Role, ...], Field(min_length=1, description="the roles whose hosts need it")]
    urls: Mapping[Platform, Url] = {}
    checksum: ChecksumUrl | None = None
    sha256: Mapping[Platform, Sha256] = {}
    mirror: Mapping[Platform, Place] = {}
    provide: StrictBool = False
    path: HostPath | None = None
    mode: Mode = "0755"
    members: tuple[Member, ...] = ()
    image: Reference | None = None
    inside: HostPath | None = None

    @property
    def system(self) -> str:
        """The operating system of the hosts that need it: linux or windows."""
        return system_of(self.roles[0])

    @property
    def platforms(self) -> tuple[Platform, ...]:
        """The platforms that it can be had for as a plain file."""
        return tuple(platform for platform in Platform if platform in self.urls or platform in self.mirror)

    @property
    def reference(self) -> str:
        """The image's reference, the version filled in; empty where there is no image."""
        return (self.image or "").replace("{version}", self.version)

    def source(self, platform: Platform) -> str:
        """Give the upstream address for a platform, or the place in a mirror where there is none: a pin's key."""
        return (self.urls.get(platform) or self.mirror[platform]).replace("{version}", self.version)

    def place(self, platform: Platform) -> str:
        """Give the place in a mirror: HOST/PATH of the upstream address, or the release's own word for it."""
        return self.source(platform).removeprefix("https://")

    def checksum_url(self, platform: Platform) -> str:
        """Give the address of the upstream checksum file; empty where there is none."""
        text = (self.checksum or "") if platform in self.urls else ""
        return text.replace("{url}", self.source(platform)).replace("{version}", self.version)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for problem, todo in self._problems():
            raise PydanticCustomError("artifact", "{problem}; {todo}", {"problem": problem, "todo": todo})
        return self

    def _problems(self) -> Iterator[tuple[str, str]]:
        kind = self.kind.value
        for key in _NEEDED[self.kind]:
            if getattr(self, key) is None:
                yield f"{self.name} has no {key}", f"write it: {kind} needs {' and '.join(_NEEDED[self.kind])}"
        for key in sorted(self.model_fields_set - _ALLOWED[self.kind] - _COMMON):
            yield f"{self.name} has {key}, which means nothing for {kind}", "remove it"
        if len({system_of(role) for role in self.roles}) > 1:
            yield f"{self.name} has roles of two operating systems", "write one entry for each"
        for platform in (*self.urls, *self.mirror, *self.sha256):
            if platform.system != self.system:
                yield f"{self.name} is for {self.system}, not for {platform}", "remove that platform"
        if self.path is not None and self.path.startswith("/") is not (self.system == "linux"):
            yield f"{quoted(self.path)} is no path of {self.system}", "write it as that system does"
        if self.kind in {Kind.FILE, Kind.ARCHIVE}:
            yield from self._without_source()

    def _without_source(self) -> Iterator[tuple[str, str]]:
        if self.provide:
            if self.urls or not self.mirror:
                yield f"{self.name} is published nowhere", "write mirror, and neither urls nor checksum"
        elif not self.urls or self.mirror:
            yield f"{self.name} has no address", "write urls; or provide: true and mirror, where nobody publishes it"
        elif bool(self.checksum) is bool(self.sha256):
            yield f"{self.name}: where its SHA-256 comes from is not clear", "write one of checksum and sha256"
        elif self.sha256 and self.sha256.keys() != self.urls.keys():
            yield f"{self.name}: sha256 and urls are not about the same platforms", "write both for each"
