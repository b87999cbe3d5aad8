"""The runbooks' own settings, from config.yaml, which is Nornir's configuration file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StrictInt, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from plugins.errors import SettingsError
from plugins.inventory.documents import read
from plugins.inventory.explain import Hints, explained
from plugins.inventory.fields import ConnectTo
from plugins.inventory.model import Model
from plugins.paths import LocatedPath
from plugins.secret import SecretSource

if TYPE_CHECKING:
    from nornir.core import Nornir

ROOT = Path(__file__).resolve().parent.parent
STATE_VARIABLE = "OVN_RUNBOOKS_STATE"  # wins over config.yaml; simulated hosts keep their state apart by it
STATE_FOLDER = "~/.local/state/ovn-runbooks"
_HINTS: Hints = {
    "num_workers": ("the runbooks choose the runner's threads", "write user_defined.workers"),
    "ssh": ("Nornir's SSH configuration is not used", "write data.ssh.config_file in the inventory"),
    "core": ("a failed host never ends the run here", "remove it"),
}


def _state_folder(value: Any) -> Any:
    """Move the default, and nothing else, to where the XDG base directory specification says."""
    base = os.environ.get("XDG_STATE_HOME", "")
    if str(value) == STATE_FOLDER and Path(base).is_absolute():
        return Path(base) / Path(STATE_FOLDER).name
    return value


Seconds = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]


class MirrorServer(Model):
    """How Windows hosts reach this machine, which serves a mirror's folder to them for the time of a run."""

    address: ConnectTo | None = None
    port: Annotated[StrictInt, Field(ge=0, le=65535)] = 0


class UserDefined(Model):
    """The section user_defined; times are in seconds."""

    state_folder: Annotated[LocatedPath, BeforeValidator(_state_folder)] = Field(
        default=Path(STATE_FOLDER), validate_default=True
    )
    log_folder: LocatedPath = ROOT / "logs"
    keep_logs: Annotated[StrictInt, Field(ge=1)] = 20
    workers: Annotated[StrictInt, Field(ge=1, le=1000)] = 20
    script_deadline: Seconds = 900.0
    reboot_deadline: Seconds = 600.0
    network_confirm_deadline: Seconds = 90.0
    mirror_server: MirrorServer = MirrorServer()
    authority_passphrase: SecretSource | None = None


class RunnerOptions(Model):
    """Which of them a plugin needs is said where they are checked."""

    processes: Annotated[StrictInt, Field(ge=1, le=256)] | None = None
    address: Annotated[str, Field(min_length=1)] | None = None


class Runner(Model):
    """Where tasks run: threads of this process, processes of this machine, or a Dask cluster at an address."""

    plugin: Literal["threaded", "processes", "dask"] = "threaded"
    options: RunnerOptions = RunnerOptions()

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.options.processes is not None and self.plugin != "processes":
            raise PydanticCustomError("runner", "options.processes is for plugin: processes; remove it")
        if (self.options.address is not None) != (self.plugin == "dask"):
            raise PydanticCustomError(
                "runner", "options.address is for plugin: dask, which needs it; write tcp://HOST:8786"
            )
        return self


class Settings(UserDefined):
    """What one run is given: the section user_defined, where the inventory is, and where tasks run."""

    inventory_folder: LocatedPath = ROOT / "inventory"
    runner: Runner = Runner()


class _InventoryOptions(Model):
    folder: LocatedPath = ROOT / "inventory"


class _Inventory(Model):
    plugin: Literal["ValidatedInventory"]
    options: _InventoryOptions = _InventoryOptions()


class _Logging(Model):
    enabled: Literal[False]


class _ConfigFile(Model):
    """Nornir's sections, as far as they have a meaning here."""

    inventory: _Inventory = Field(description="plugin: ValidatedInventory")
    runner: Runner = Runner()
    logging: _Logging = Field(description="enabled: false, as Nornir's own log would hold secrets")
    user_defined: UserDefined = Field(default_factory=UserDefined)


def load_settings(path: Path) -> Settings:
    """Read config.yaml; SettingsError holds everything that is wrong in it."""
    document = read(path, "Nornir's configuration", subject="")
    findings = list(document.findings)
    if document.data is not None:
        try:
            config = _ConfigFile.model_validate(document.data, context={"folder": path.absolute().parent})
        except ValidationError as error:
            findings += explained(document, error, _ConfigFile, hints=_HINTS)
        else:
            if not findings:
                given = {key: getattr(config.user_defined, key) for key in UserDefined.model_fields}
                if os.environ.get(STATE_VARIABLE):
                    given["state_folder"] = os.environ[STATE_VARIABLE]
                return Settings(**given, inventory_folder=config.inventory.options.folder, runner=config.runner)
    raise SettingsError("\n".join(map(str, findings)))


def init(inventory_folder: Path, settings: Settings, *, dry_run: bool = False) -> Nornir:
    """Make Nornir from a checked inventory; InventoryError holds everything that is wrong in it.

    Nornir's own InitNornir would load every installed plugin and read configuration from NORNIR_* variables.
    """
    from nornir.core import Nornir  # noqa: PLC0415  # settings are read by commands that need no Nornir
    from nornir.core.configuration import Config  # noqa: PLC0415
    from nornir.core.state import GlobalState  # noqa: PLC0415
    from nornir.plugins.runners import ThreadedRunner  # noqa: PLC0415

    from plugins.inventory.validated import ValidatedInventory  # noqa: PLC0415

    config = Config.from_dict(
        inventory={"plugin": "ValidatedInventory", "options": {"folder": str(inventory_folder)}},
        runner={"plugin": "threaded", "options": {"num_workers": settings.workers}},
        logging={"enabled": False},
        core={"raise_on_error": False},
        user_defined=settings.model_dump(mode="json", include=set(UserDefined.model_fields)),
    )
    return Nornir(
        inventory=ValidatedInventory(inventory_folder).load(),
        config=config,
        data=GlobalState(dry_run=dry_run),
        runner=ThreadedRunner(num_workers=settings.workers),
    )
