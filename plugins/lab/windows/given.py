"""What a service of a Windows host is given: its command line's options, its files, and who it is to the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from plugins.simulate.host import SimulatedHost
from plugins.simulate.windows.nodes import read_options
from plugins.simulate.windows.state import where


class GivenError(Exception):
    """A service cannot work with what it is given, and ends; the text is what its log has to say."""


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, as PEM."""

    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class Identity:
    """Which API server is asked and believed, and as whom. `authority` is PEM."""

    server: str
    authority: str
    pair: Pair


def options(host: SimulatedHost, service: str, *needed: str) -> Mapping[str, str]:
    """Give the options of a service's command line. Raises GivenError without those that it cannot do without."""
    found = read_options(host.state.windows_part.services[service].command)
    if missing := [name for name in needed if not found.get(name)]:
        raise GivenError(f"--{missing[0]} is not given")
    return found


def text(host: SimulatedHost, path: str) -> str:
    """Give a file's content. Raises GivenError where there is none."""
    content = host.state.files.text(where(path))
    if not content:
        raise GivenError(f"open {path}: The system cannot find the file specified.")
    return content


def document(host: SimulatedHost, path: str, version: str, kind: str) -> dict[str, Any]:
    """Give a YAML document of one kind. Raises GivenError for any other."""
    try:
        content = yaml.safe_load(text(host, path))
    except yaml.YAMLError as error:
        raise GivenError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or (content.get("apiVersion"), content.get("kind")) != (version, kind):
        raise GivenError(f"{path}: no kind {kind} of {version} is registered in what it says")
    return content


def authority(host: SimulatedHost, path: str) -> str:
    """Give certificates of authorities. Raises GivenError for what is none."""
    content = text(host, path)
    try:
        x509.load_pem_x509_certificates(content.encode())
    except ValueError:
        raise GivenError(f"{path}: data does not contain any valid certificates") from None
    return content


def pair(host: SimulatedHost, certificate: str, key: str) -> Pair:
    """Give a pair. Raises GivenError for a key that is not the certificate's."""
    found = Pair(text(host, certificate), text(host, key))
    try:
        public = x509.load_pem_x509_certificate(found.certificate.encode()).public_key()
        own = load_pem_private_key(found.key.encode(), None).public_key()
    except (ValueError, TypeError):
        raise GivenError(f"{certificate}, {key}: failed to find PEM data") from None
    form = Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    if public.public_bytes(*form) != own.public_bytes(*form):
        raise GivenError(f"{key}: private key does not match public key of {certificate}")
    return found


def identity(host: SimulatedHost, path: str) -> Identity:
    """Give who a kubeconfig's current context is. Raises GivenError."""
    config = document(host, path, "v1", "Config")
    try:
        context = _named(config, "contexts", config["current-context"])["context"]
        cluster = _named(config, "clusters", context["cluster"])["cluster"]
        user = _named(config, "users", context["user"])["user"]
        files = user["client-certificate"], user["client-key"]
        server, believed = cluster["server"], cluster["certificate-authority"]
    except (KeyError, TypeError) as error:
        raise GivenError(f"{path}: invalid configuration: {error} is missing") from None
    if urlsplit(server).scheme != "https":
        raise GivenError(f"{path}: {server} is not https")
    return Identity(server, authority(host, believed), pair(host, *files))


def _named(config: Mapping[str, Any], many: str, name: str) -> Mapping[str, Any]:
    found = next((each for each in config[many] if each["name"] == name), None)
    if found is None:
        raise KeyError(f"{many}: {name}")
    return dict(found)
