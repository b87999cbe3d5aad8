"""The types of inventory keys; each refuses what is wrong in words that say what to write instead."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, StrictBool, StrictInt, StrictStr
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from plugins.artifacts.mirror import URL
from plugins.words import quoted

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
NAME = re.compile(_LABEL)
LABEL_KEY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?")
DNS_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*", re.IGNORECASE)
# Where no machine can be reached by another (RFC 6890).
_UNUSABLE = {
    "0.0.0.0/8 (this host)": IPv4Network("0.0.0.0/8"),
    "127.0.0.0/8 (loopback)": IPv4Network("127.0.0.0/8"),
    "169.254.0.0/16 (link-local)": IPv4Network("169.254.0.0/16"),
    "224.0.0.0/3 (multicast and reserved)": IPv4Network("224.0.0.0/3"),
}


def unusable(network: IPv4Network) -> str | None:
    """Name the range without reachable machines that a network touches, if any."""
    return next((name for name, taken in _UNUSABLE.items() if network.overlaps(taken)), None)


def _text(value: Any, example: str) -> str:
    if not isinstance(value, str):
        raise PydanticCustomError("not_text", "expected text such as {example}", {"example": example})
    return value.strip()


def _address(value: Any) -> Any:
    if isinstance(value, IPv4Address):
        return value
    text = _text(value, "10.142.0.3")
    try:
        address = ip_address(text)
    except ValueError:
        message = "{value} is no IPv4 address; write four numbers from 0 to 255, as in 10.142.0.3"
        raise PydanticCustomError("address", message, {"value": quoted(text)}) from None
    if isinstance(address, IPv6Address):
        message = "{value} is IPv6, which is not supported yet; write an IPv4 address"
        raise PydanticCustomError("ipv6", message, {"value": quoted(text)})
    return address


def _network(value: Any) -> Any:
    if isinstance(value, IPv4Network):
        return value
    text = _text(value, "10.244.0.0/16")
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        message = "{value} is no IPv4 network; write an address and a prefix length, as in 10.244.0.0/16"
        raise PydanticCustomError("network", message, {"value": quoted(text)}) from None
    if isinstance(network, IPv6Network):
        message = "{value} is IPv6, which is not supported yet; write an IPv4 network"
        raise PydanticCustomError("ipv6", message, {"value": quoted(text)})
    if text != str(network):
        message = "{value} is not written as a network; {network} is the network that it lies in"
        raise PydanticCustomError("network", message, {"value": quoted(text), "network": str(network)})
    taken = unusable(network)
    if taken:
        message = "{value} touches {range}; choose a private network, as in 10.244.0.0/16"
        raise PydanticCustomError("network", message, {"value": text, "range": taken})
    return network


def _host_address(address: IPv4Address) -> IPv4Address:
    taken = unusable(IPv4Network(address))
    if taken:
        message = "{value} lies in {range}; write the address by which other hosts reach this one"
        raise PydanticCustomError("address", message, {"value": str(address), "range": taken})
    return address


def _connect_to(value: str) -> str:
    name, colon, port = value.partition(":")
    if colon and port.isdigit():
        message = "{value} has a port in it; write {name} here, and port: {port} beside it"
        raise PydanticCustomError("hostname", message, {"value": quoted(value), "name": name, "port": port})
    if colon or re.fullmatch(r"[0-9.]+", value):
        return str(_address(value.strip("[]")))
    return _dns_name(value)


def _dns_name(value: str) -> str:
    if not DNS_NAME.fullmatch(value):
        message = "{value} is no DNS name; write letters, digits and hyphens, in parts joined by dots"
        raise PydanticCustomError("dns_name", message, {"value": quoted(value)})
    return value


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        message = (
            "{value} is no RFC 1123 name; write at most 63 lower-case letters, digits and hyphens, "
            "with no hyphen at either end"
        )
        raise PydanticCustomError("name", message, {"value": quoted(value)})
    return value


def _word(value: str) -> str:
    if not value or not value.isprintable() or " " in value:
        message = "{value} is empty or has a space or control character in it; write one plain word"
        raise PydanticCustomError("word", message, {"value": quoted(value)})
    return value


def _mirror_url(value: str) -> str:
    if not URL.fullmatch(value):
        message = "{value} is no mirror's URL; write http(s)://HOST/PATH, without user, query and spaces"
        raise PydanticCustomError("mirror", message, {"value": quoted(value)})
    return value


def _nic(value: str) -> str:
    if not value or not value.isprintable() or value != value.strip():
        message = "{value} is empty or has a control character or outer space in it; write the NIC's name"
        raise PydanticCustomError("nic", message, {"value": quoted(value)})
    return value


def _label_key(value: str) -> str:
    if not LABEL_KEY.fullmatch(value):
        message = "{value} is no label; write letters and digits, with . _ / - between them"
        raise PydanticCustomError("label_key", message, {"value": quoted(value)})
    return value


def _label_value(value: str) -> str:
    if "," in value or not value.isprintable():
        message = "{value} has a comma or control character in it; --filter could not name it: leave that out"
        raise PydanticCustomError("label_value", message, {"value": quoted(value)})
    return value


# What the runbooks decide for every host: certificates, who may ask, and where the node is.
_KUBELET_OURS = frozenset(
    {
        *("apiVersion", "kind", "authentication", "authorization", "tlsCertFile", "tlsPrivateKeyFile"),
        *("clusterDNS", "clusterDomain", "containerRuntimeEndpoint", "resolvConf", "registerWithTaints"),
        *("rotateCertificates", "cgroupDriver"),
    }
)


def _kubelet_fields(fields: dict[str, Any]) -> dict[str, Any]:
    for name in fields:
        if name in _KUBELET_OURS:
            message = "{field} is set by the runbooks for every host; leave it out"
            raise PydanticCustomError("kubelet_field", message, {"field": quoted(name)})
    return fields


class _EmptyAllowed:
    """In the JSON Schema: a block whose lines are all commented out, which YAML reads as null."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [handler(schema), {"type": "null"}]}


def _pattern(pattern: str) -> Any:
    """For the JSON Schema alone; the validator has the better words."""
    return Field(json_schema_extra={"pattern": pattern})


_Block = TypeVar("_Block")
Block = Annotated[_Block, BeforeValidator(lambda value: {} if value is None else value), _EmptyAllowed()]

Address = Annotated[IPv4Address, BeforeValidator(_address)]
HostAddress = Annotated[IPv4Address, BeforeValidator(_address), AfterValidator(_host_address)]
Network = Annotated[IPv4Network, BeforeValidator(_network)]
ConnectTo = Annotated[StrictStr, AfterValidator(_connect_to)]
DnsName = Annotated[StrictStr, AfterValidator(_dns_name)]
Name = Annotated[StrictStr, AfterValidator(_name), _pattern(f"^{_LABEL}$")]
Port = Annotated[StrictInt, Field(ge=1, le=65535)]
Word = Annotated[StrictStr, AfterValidator(_word), _pattern(r"^\S+$")]
MirrorUrl = Annotated[StrictStr, AfterValidator(_mirror_url)]
Nic = Annotated[StrictStr, AfterValidator(_nic)]
LabelKey = Annotated[StrictStr, AfterValidator(_label_key)]
LabelValue = Annotated[StrictStr, AfterValidator(_label_value), _pattern("^[^,]*$")]
KubeletFields = Annotated[dict[StrictStr, Any], AfterValidator(_kubelet_fields)]
Flag = StrictBool
