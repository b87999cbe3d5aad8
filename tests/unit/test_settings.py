"""config.yaml: what it becomes, what is wrong in it, and how Nornir is made of it."""

import subprocess
import sys
from pathlib import Path

import pytest
from nornir.core.configuration import Config
from nornir.core.plugins.inventory import InventoryPluginRegister
from nornir.plugins.runners import ThreadedRunner

from plugins.errors import InventoryError, SettingsError
from plugins.settings import ROOT, Settings, UserDefined, init, load_settings

SOUND = "inventory: {plugin: ValidatedInventory}\nlogging: {enabled: false}\n"


def load(folder: Path, text: str) -> Settings:
    (folder / "config.yaml").write_text(text)
    return load_settings(folder / "config.yaml")


def findings(folder: Path, text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(folder, text)
    return [line.removeprefix(f"{folder}/config.yaml: ") for line in str(caught.value).splitlines()]


def test_the_shipped_file_says_the_defaults(monkeypatch):
    """config.yaml names every setting with its default, and Nornir itself can read it."""
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("OVN_RUNBOOKS_STATE", raising=False)
    settings = load_settings(ROOT / "config.yaml")
    assert settings == Settings()
    config = Config.from_file(str(ROOT / "config.yaml"))
    # A setting without a default stands there as a comment.
    assert set(config.user_defined) == set(UserDefined.model_fields) - {"authority_passphrase"}
    assert config.logging.enabled is False


def test_settings_are_read(tmp_path, monkeypatch):
    """What is written counts; relative paths start at the file's folder."""
    monkeypatch.delenv("OVN_RUNBOOKS_STATE", raising=False)
    text = SOUND + "user_defined: {workers: 5, script_deadline: 1.5, log_folder: l, state_folder: s}\n"
    settings = load(tmp_path, text)
    assert (settings.workers, settings.script_deadline, settings.keep_logs) == (5, 1.5, 20)
    assert (settings.log_folder, settings.state_folder) == (tmp_path / "l", tmp_path / "s")


def test_the_inventory_s_folder_starts_at_the_file(tmp_path):
    """Nornir's own option for the folder is honoured."""
    text = "inventory: {plugin: ValidatedInventory, options: {folder: inv}}\nlogging: {enabled: false}\n"
    assert load(tmp_path, text).inventory_folder == tmp_path / "inv"


def test_xdg_state_home_moves_the_default_alone(tmp_path, monkeypatch):
    """XDG_STATE_HOME counts while the default is in force, written or not; a relative one is ignored."""
    default = "user_defined: {state_folder: ~/.local/state/ovn-runbooks}\n"
    monkeypatch.setenv("HOME", "/home/ops")
    monkeypatch.delenv("OVN_RUNBOOKS_STATE", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert load(tmp_path, SOUND + default).state_folder == Path("/home/ops/.local/state/ovn-runbooks")
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    assert load(tmp_path, SOUND).state_folder == Path("/xdg/ovn-runbooks")
    assert load(tmp_path, SOUND + default).state_folder == Path("/xdg/ovn-runbooks")
    assert load(tmp_path, SOUND + "user_defined: {state_folder: ~/s}").state_folder == Path("/home/ops/s")
    monkeypatch.setenv("XDG_STATE_HOME", "xdg")
    assert load(tmp_path, SOUND).state_folder == Path("/home/ops/.local/state/ovn-runbooks")


def test_the_state_folder_s_own_variable_wins(tmp_path, monkeypatch):
    """OVN_RUNBOOKS_STATE wins over what is written; an empty one is none."""
    text = SOUND + "user_defined: {state_folder: s}\n"
    monkeypatch.setenv("OVN_RUNBOOKS_STATE", "/elsewhere")
    assert load(tmp_path, text).state_folder == Path("/elsewhere")
    monkeypatch.setenv("OVN_RUNBOOKS_STATE", "")
    assert load(tmp_path, text).state_folder == tmp_path / "s"


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("user_defined: {wrokers: 3}", 'user_defined.wrokers: unknown key; did you mean "workers"?'),
        ("user_defined: {workers: '3'}", 'user_defined.workers: expected a whole number, found "3"'),
        ("user_defined: {workers: 0}", "user_defined.workers: 0 is too small; write at least 1"),
        ("user_defined: {script_deadline: 0}", "user_defined.script_deadline: 0 is too small; write more than 0"),
        ("user_defined: {script_deadline: .inf}", "user_defined.script_deadline: inf is no finite number"),
        ("user_defined: {log_folder: }", "user_defined.log_folder: nothing stands after the colon"),
        ("user_defined: {log_folder: ~no-such-user/x}", "user_defined.log_folder: no home folder is known"),
        ("workers: 3", "workers: it does not belong here; write it under user_defined"),
        ("runner: {options: {num_workers: 3}}", "runner.options.num_workers: the runbooks choose the runner's threads"),
        ("runner: {plugin: serial}", 'runner.plugin: "serial" is not known here; write one of these: threaded'),
        ("runner: {plugin: dask}", "runner: options.address is for plugin: dask, which needs it"),
        ("runner: {options: {address: 'tcp://h:1'}}", "runner: options.address is for plugin: dask"),
        ("runner: {options: {processes: 2}}", "runner: options.processes is for plugin: processes"),
        ("runner: {plugin: processes, options: {processes: 0}}", "runner.options.processes: 0 is too small"),
        ("ssh: {config_file: x}", "ssh: Nornir's SSH configuration is not used; write data.ssh.config_file"),
        ("core: {raise_on_error: true}", "core: a failed host never ends the run here; remove it"),
        ("user_defined: {workers: 3, workers: 4}", "user_defined.workers: written twice, in line 3"),
        ("user_defined:\n\tworkers: 3", "line 4, column 1: a tab, where YAML takes only spaces"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(tmp_path, section, said):
    """Unknown keys, types and ranges are named, with what to do."""
    (finding,) = findings(tmp_path, SOUND + section)
    assert finding.startswith(said)


def test_tasks_can_run_elsewhere(tmp_path):
    """In processes, as many as there are processors where none are named; or on a Dask cluster at an address."""
    assert load(tmp_path, SOUND).runner.plugin == "threaded"
    assert load(tmp_path, SOUND + "runner: {plugin: processes}\n").runner.options.processes is None
    dask = "runner: {plugin: dask, options: {address: 'tcp://10.0.0.5:8786'}}\n"
    assert load(tmp_path, SOUND + dask).runner.options.address == "tcp://10.0.0.5:8786"


def test_nornir_s_own_log_stays_off(tmp_path):
    """Nornir's log would hold task arguments and tracebacks: it has to be off, and to be said so."""
    (finding,) = findings(tmp_path, "inventory: {plugin: ValidatedInventory}\nlogging: {enabled: true}\n")
    assert finding == "logging.enabled: true is not known here; write one of these: false"
    (finding,) = findings(tmp_path, "inventory: {plugin: ValidatedInventory}\n")
    assert finding.startswith("logging: missing; write it: enabled: false")


def test_all_errors_come_at_once(tmp_path):
    """Each error is one line of the exception's text."""
    assert len(findings(tmp_path, "inventory: {plugin: SimpleInventory}\nuser_defined: {a: 1, keep_logs: -1}")) == 4


def test_a_missing_file_is_named(tmp_path):
    """Without config.yaml the error names the path."""
    with pytest.raises(SettingsError, match=r"config\.yaml: the file does not exist"):
        load_settings(tmp_path / "config.yaml")


def test_settings_cannot_be_changed():
    """One run has one set of settings."""
    with pytest.raises(ValueError, match="frozen"):
        Settings().workers = 3


def test_nornir_is_made_of_a_checked_inventory(monkeypatch):
    """The inventory is validated, logging off, the runner ours; NORNIR_ variables and registers play no part."""
    monkeypatch.setenv("NORNIR_CORE_RAISE_ON_ERROR", "1")
    nornir = init(ROOT / "inventory", Settings(workers=3), dry_run=True)
    assert list(nornir.inventory.hosts) == ["master-1", "linux-1", "windows-1"]
    assert nornir.data.dry_run is True
    assert nornir.config.core.raise_on_error is False
    assert nornir.config.logging.enabled is False
    assert nornir.config.user_defined["workers"] == 3
    assert isinstance(nornir.runner, ThreadedRunner)
    assert nornir.runner.num_workers == 3
    assert init(ROOT / "inventory", Settings()).data.dry_run is False
    assert "ValidatedInventory" not in InventoryPluginRegister.available


def test_a_wrong_inventory_makes_no_nornir(tmp_path):
    """What is wrong in the inventory comes out of init."""
    with pytest.raises(InventoryError, match="the file does not exist"):
        init(tmp_path, Settings())


def test_importing_settings_loads_no_transport():
    """--help and usage errors answer without netmiko, paramiko and pywinrm."""
    program = (
        "import sys; import plugins.settings, plugins.filters, plugins.inventory.validated, plugins.releases;"
        "print([m for m in sys.modules if m.split('.')[0] in {'netmiko', 'paramiko', 'winrm', 'nornir_netmiko'}])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
