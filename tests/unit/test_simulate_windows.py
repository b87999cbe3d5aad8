"""Simulated Windows hosts: what they take for a script, and that their vocabulary is the PowerShell library's.

No PowerShell runs here: what the library itself does on Windows, these tests cannot tell.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.checks.facts import HostFacts
from plugins.connections import memory
from plugins.inventory.model import HostSettings
from plugins.powershell import assemble, libraries, quote, secret_lines, verbs
from plugins.secret import Secret
from plugins.simulate.files import Entry, Kind
from plugins.simulate.host import Timing
from plugins.simulate.in_memory import MemoryHosts
from plugins.simulate.script import RefusedError
from plugins.simulate.vocabulary import StepVerb
from plugins.simulate.windows.difference import difference
from plugins.simulate.windows.facts import FACTS
from plugins.simulate.windows.script import read_script
from plugins.simulate.windows.verbs import VERBS
from plugins.steps import Status, Transcript, parse_line

MARKER = "@0123456789abcdef0123456789abcdef "
BODY = "windows_feature Containers\nfile C:\\k\\x 'it''s\n#--- end\n}\nsteps_run\n'\n"
LIBRARY = "\n".join(libraries().values())


def script(body: str = BODY, **settings: object) -> bytes:
    """Assemble a script as a task would send it."""
    wanted = {"marker": MARKER, "dry_run": False, "wait": 895, "owner": "ann@desk (process 7), install"} | settings
    return assemble(body, **wanted).encode()


def test_a_script_is_read() -> None:
    """Settings, stage, secrets and calls come out as they went in, whatever a quoted word holds."""
    beside = secret_lines([Secret("one-secret"), Secret("ümläut-secret")]).encode()
    read = read_script(beside + script(dry_run=True))
    assert (read.marker, read.dry_run, read.wait, read.task) == (MARKER, True, 895.0, "install")
    assert read.calls[1].arguments == ("C:\\k\\x", "it's\n#--- end\n}\nsteps_run\n")
    assert read.secrets == ("one-secret", "ümläut-secret")


@given(owner=st.text(st.characters(exclude_characters="\0\n", exclude_categories=["Cs"]), max_size=40))
def test_any_owner_is_read(owner: str) -> None:
    """Who runs it may be called anything that fits on a line, typographic quotes included."""
    assert read_script(script(owner=owner)).owner == owner


@settings(max_examples=100, deadline=None)
@given(size=st.integers(0, len(script().rstrip()) - 1))
def test_a_script_cut_off_anywhere_is_refused(size: int) -> None:
    """No beginning of a script is a script."""
    with pytest.raises(RefusedError):
        read_script(script()[:size])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (script().replace(b"windows_feature Cont", b"Restart-Computer Cont"), "'Restart-Computer' is not a verb"),
        (script().replace(b"windows_feature Cont", b"windows_feature $x Cont"), "outside quotes"),
        (script() + b"Restart-Computer\n", "goes on after its body"),
        (b"Restart-Computer\n" + script(), "four settings"),
        (script().replace(b"DryRun = $false", b"DryRun = $x"), "four settings"),
        (script().replace(b"function _json", b"function _jsom"), "library differs"),
        (script().replace(libraries()["facts"].encode() + b"\n", b""), "library differs"),
        (script().replace(b"Containers", b"Cont\xff"), "not UTF-8"),
        (b"", "four settings"),
    ],
)
def test_anything_else_is_refused(changed: bytes, words: str) -> None:
    """What is refused says why."""
    with pytest.raises(RefusedError, match=re.escape(words)):
        read_script(changed)


def test_every_verb_has_a_simulated_twin() -> None:
    """The vocabulary of the library and that of the simulated hosts cannot drift apart."""
    assert set(VERBS) == set(verbs())


def test_every_fact_has_a_simulated_twin() -> None:
    """And neither can what `gather` finds out."""
    assert set(FACTS) == set(re.findall(r"^function _fact_(\w+)", LIBRARY, re.MULTILINE))


REFUSED = "No connection could be made to port {}: the target machine actively refused it"
TITLES = dict(re.findall(r"^function (\w+) \{ _step (\"[^\"]*\"|\$args\[0\])", LIBRARY, re.MULTILINE))


@pytest.mark.parametrize("verb", sorted(name for name, each in VERBS.items() if isinstance(each, StepVerb)))
def test_a_step_is_called_the_same(verb: str) -> None:
    """A table of a simulated run shows the names that a real one does."""
    words = ("C:\\k\\one", "two", "C:\\k\\three", "four")[: VERBS[verb].most or 4]
    title = re.sub(r"\$\(\[IO\.Path\]::GetFileName\(\$args\[0\]\)\)", "one", TITLES[verb])
    title = re.sub(r"\$\(\(\$args -notlike 'log=\*'\) -join ' '\)", lambda _: " ".join(words), title)
    title = re.sub(r"\$\(\$args\[(\d)\]\)|\$args\[(\d)\]", lambda match: words[int(match[1] or match[2])], title)
    assert "$" not in title
    assert VERBS[verb].title(*words) == title.strip('"')


def test_a_verb_takes_as_many_words_as_the_library_reads() -> None:
    """Names that the library gives to a look's words are words that the twin wants."""
    looks = re.findall(r"^function _(\w+)_look\(([^)]*)\)", LIBRARY, re.MULTILINE)
    assert {name for name, _ in looks} >= {name for name, each in VERBS.items() if isinstance(each, StepVerb)}
    for name, words in ((name, words) for name, words in looks if name in VERBS):
        named = words.count("[string]$")
        assert VERBS[name].least >= named, name
        assert VERBS[name].most is None or VERBS[name].most == named, name


# A verb in its first form, which changes a fresh host, and in another one, which changes it again.
TWICE = {
    "file": ("file C:\\k\\a 'one\ntwo\n'", "file C:\\k\\a 'one\n2\n'"),
    "secret_file": ("secret_file C:\\k\\key secret:0", "secret_file c:\\K\\key secret:1"),
    "directory": ("directory C:\\k\\d inherited", "directory C:\\k\\d protected"),
    "absent": ("file C:\\k\\gone x\nabsent C:\\k\\gone", ""),
    "registry_value": ("registry_value HKLM:\\x y DWord '1'", "registry_value HKLM:\\x y DWord '2'"),
    "environment_variable": ("environment_variable A b", "environment_variable A c"),
    "ensure": ("ensure 'make it' 'Test-Path C:\\x' 'New-Item C:\\x'", ""),
    "windows_feature": ("windows_feature Containers", ""),
    "service_defined": ("service_defined kubelet 'C:\\k\\x.exe -v=2' WinRM", "service_defined kubelet C:\\k\\y.exe"),
    "service_recovery": ("service_recovery WinRM '10000'", "service_recovery WinRM '10000' '30000'"),
    "service": ("service WinDefend stopped manual", "service WinDefend automatic running 'log=C:\\x'"),
    "restart_on": ("file C:\\c x\nrestart_on WinRM C:\\c", "file C:\\c y\nrestart_on WinRM C:\\c"),
    "firewall_rule": ("firewall_rule kubelet TCP '10250'", "firewall_rule kubelet TCP '10251'"),
    "scheduled_task": ("scheduled_task t powershell.exe '-File x'", "scheduled_task t powershell.exe '-File y'"),
    "defender_exclusion": ("defender_exclusion path C:\\k", "defender_exclusion process C:\\k\\x.exe"),
    "artifact": (f"artifact C:\\k\\f {quote('0' * 64)} https://x", f"artifact C:\\k\\f {quote('1' * 64)} https://x"),
    "archive": (
        f"artifact C:\\k\\f.tgz {quote('0' * 64)} https://x\narchive C:\\k\\f.tgz {quote('0' * 64)} C:\\k bin/a.exe",
        "",
    ),
}  # fmt: skip
Run = Callable[..., Transcript]


@pytest.fixture
def hosts() -> Iterator[MemoryHosts]:
    """Fresh simulated hosts."""
    with memory.simulated_hosts(timing=Timing(until_reboot=0.05, reboot=0.1)) as found:
        yield found


@pytest.fixture
def run(hosts: MemoryHosts) -> Run:  # noqa: ARG001  # the connection finds them
    """Run a body on windows-1, and give what it said."""
    host = HostSettings(name="windows-1", role="windows", address="10.142.0.5", transport="memory")

    def run(body: str, *, dry_run: bool = False) -> Transcript:
        connection, said = memory.Memory(), Transcript()
        connection.open(None, None, None, None, None, {"settings": host})
        beside = secret_lines([Secret("first-secret"), Secret("second-secret")]).encode()
        connection.connection.run(
            beside + script(body, dry_run=dry_run), deadline=20, on_line=lambda raw: said.add(parse_line(raw, MARKER))
        )
        connection.close()
        return said

    return run


def test_every_step_verb_is_run() -> None:
    """A new one is run below, too."""
    # Its network is made by a service that needs a whole cluster: tests/simulated/test_sim_windows_node.py runs it.
    elsewhere = {"host_endpoint"}
    assert set(TWICE) | elsewhere == {name for name, each in VERBS.items() if isinstance(each, StepVerb)}


@pytest.mark.parametrize("verb", TWICE)
def test_a_verb_looks_before_it_acts(verb: str, run: Run, hosts: MemoryHosts) -> None:
    """A dry run would change and writes nothing; a run changes; the next one finds all as wanted, in either mode."""
    for body in filter(None, TWICE[verb]):
        run("gather hostname")  # a host comes into being when it is first reached
        before = hosts.state("windows-1")
        dry = run(body, dry_run=True)
        assert dry.ended
        assert {step.status for step in dry.steps} <= {Status.WOULD_CHANGE, Status.OK}
        assert {**hosts.state("windows-1"), "counters": None} == {**before, "counters": None}
        first, second = run(body), run(body)
        assert first.steps[-1].status is Status.CHANGED, first
        if verb != "absent":  # which takes away what its body makes first
            assert {step.status for step in second.steps} == {Status.OK}, second
            assert {step.status for step in run(body, dry_run=True).steps} == {Status.OK}


CHAIN = {"a": "", "b": "a", "c": "b", "d": "a"}
"""Services, and what each depends on."""


@pytest.fixture
def states(run: Run, hosts: MemoryHosts) -> Callable[[], str]:
    """Have a chain of services of which the last one does not run; give what runs, by their first letters."""
    defined = (f"service_defined {name} C:\\{name}.exe {depends}" for name, depends in CHAIN.items())
    run("\n".join((*defined, "service c running")))

    def running() -> str:
        services = hosts.state("windows-1")["windows"]["services"]
        return "".join(name for name in CHAIN if services[name]["state"] == "Running")

    assert running() == "abc"
    return running


@pytest.mark.parametrize("change", ["service_defined a 'C:\\a.exe -v'\nservice a running", "restart_on a C:\\x"])
def test_what_stops_together_with_a_service_is_started_with_it(
    run: Run, states: Callable[[], str], change: str
) -> None:
    """All that depends on it and ran before; then there is nothing left to do."""
    said = run(f"file C:\\x y\n{change}")
    assert (said.steps[-1].status, states()) == (Status.CHANGED, "abc")
    assert run(f"service a running\n{change}").steps[-1].status is Status.OK


def test_what_stopped_together_with_a_service_is_known_to_the_next_run(run: Run, states: Callable[[], str]) -> None:
    """A run that dies before it has started the service leaves nothing down; a boot starts all by itself."""
    run("service_defined a 'C:\\a.exe -v'")
    assert states() == ""
    assert run("service a running", dry_run=True).steps[0].status is Status.WOULD_CHANGE
    said = run("service a running\nservice a running")
    assert ([step.status for step in said.steps], states()) == ([Status.CHANGED, Status.OK], "abc")


def test_a_service_that_does_not_start_again_is_told_of_once(
    run: Run, states: Callable[[], str], hosts: MemoryHosts
) -> None:
    """The stage that would mend it is not kept from being run by this one."""
    host = hosts.host("windows-1", "windows", "10.142.0.5")
    host.state.windows_part.services["c"].command = r"C:\k\missing.exe"
    said = run("service_defined a 'C:\\a.exe -v'\nservice a running")
    assert (said.steps[-1].message, states()) == ("the change failed", "ab")
    assert said.steps[-1].output.startswith("c does not start again: ")
    assert run("service a running").steps[-1].status is Status.OK


def test_a_feature_waits_for_a_reboot_with_proof(run: Run, hosts: MemoryHosts) -> None:
    """It is installed on top of no pending reboot, asks for one, and is there after the boot."""
    first = run("windows_feature Containers\nreboot_when needed 'reboot for the feature'")
    assert [(step.name, step.asks.value) for step in first.steps] == [
        ("feature Containers", ""),
        ("reboot for the feature", "reboot"),
    ]
    assert run("windows_feature Hyper-V").steps[0].message == "reboot first: Windows is being serviced (RebootPending)"
    boot = first.facts["boot_id"]
    assert run(f"reboot_now {quote(boot)}").steps[0].status is Status.CHANGED
    for _ in range(100):
        if hosts.state("windows-1")["boot_id"] != boot:
            break
        time.sleep(0.02)
    time.sleep(0.05)
    again = run(
        f"windows_feature Containers\nreboot_when needed\nreboot_now {quote(boot)}\ngather 'features=Containers'"
    )
    assert [step.status for step in again.steps] == [Status.OK] * 4
    assert again.facts["features"] == "Containers Enabled"


UPDATES = "Windows Update asks for it (RebootRequired)"


@pytest.mark.parametrize(
    ("state", "policy", "phase", "asks", "message"),
    [
        ("Disabled", "needed", "missing", "reboot", UPDATES),
        ("Disabled", "never", "missing", "", f"{UPDATES}; not rebooted, as asked for on the command line"),
        ("Disabled", "needed", "pending", "", f"{UPDATES}; not rebooted, as the feature Containers is missing"),
        ("EnablePending", "needed", "missing", "", f"{UPDATES}; not rebooted, as the feature Containers is pending"),
        ("EnablePending", "needed", "pending", "reboot", UPDATES),
        ("Enabled", "needed", "missing", "", f"{UPDATES}; not rebooted, as the feature Containers is there"),
        ("Enabled", "never", "pending", "", f"{UPDATES}; not rebooted, as the feature Containers is there"),
        ("Enabled", "always", "missing", "reboot", UPDATES),
    ],
)
def test_a_reboot_is_needed_in_one_phase_of_a_feature(
    run: Run, hosts: MemoryHosts, state: str, policy: str, phase: str, asks: str, message: str
) -> None:
    """What else Windows waits for is told, and left to whoever looks after its updates."""
    host = hosts.host("windows-1", "windows", "10.142.0.5").state
    host.reboot_required, host.windows_part.features["Containers"] = UPDATES, state
    step = run(f"reboot_when {policy} first Containers {phase}").steps[0]
    assert (step.asks.value, step.message) == (asks, message)


def test_a_feature_that_is_pending_is_a_reason_by_itself(run: Run, hosts: MemoryHosts) -> None:
    """Whatever else Windows says or does not say."""
    host = hosts.host("windows-1", "windows", "10.142.0.5").state
    host.windows_part.features["Containers"] = "EnablePending"
    step = run("reboot_when needed first Containers pending").steps[0]
    assert (step.asks.value, step.message) == ("reboot", "the feature Containers asks for it")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("windows_feature Nonsense", "Feature name Nonsense is unknown."),
        ("service kubelet running", "there is no service kubelet"),
        ("service WinRM sleeping", "sleeping is not a state of a service"),
        ("service_recovery kubelet '1000'", "there is no service kubelet"),
        ("registry_value HKLM:\\x y Dword '1'", "Dword is not a kind of registry value"),
        ("defender_exclusion file C:\\x", "file is not a kind of exclusion"),
        ("directory C:\\d inherited\nfile C:\\d x", "C:\\d is a folder"),
        ("file C:\\f x\ndirectory C:\\f inherited", "C:\\f is not a folder"),
        ("archive C:\\none.tgz aa C:\\k a", "the change failed"),
        ("service_defined a C:\\a.exe none\nservice a running", "the change failed"),
        ("host_endpoint a b '10.0.0.2'", "Get-HnsEndpoint is not installed"),
        ("traffic_endpoint VIPEndpoint", "Get-HnsEndpoint is not installed"),
        ("endpoint_ping '10.0.0.2' '3' '10.0.0.3:84'", "no NIC of the host has 10.0.0.2"),
        (
            "healthy kube-proxy http://127.0.0.1:10256/healthz '9' C:\\x.log",
            f"http://127.0.0.1:10256/healthz says: {REFUSED.format(10256)}; after 9 s",
        ),
        ("gather nonsense", "there is no fact nonsense"),
    ],
)
def test_what_cannot_be_done_fails_in_the_librarys_words(body: str, message: str, run: Run) -> None:
    """The last step fails, and with it the script."""
    said = run(body)
    assert (said.steps[-1].status, said.steps[-1].message) == (Status.FAILED, message)
    assert said.ended


def test_the_overlays_switch_takes_the_nic(run: Run, hosts: MemoryHosts) -> None:
    """Of two NICs that are up one is physical, and the other has the address and the default route."""
    want = "gather nics addresses default_nic"
    assert run(want).facts["nics"] == "4 1500 physical Ethernet"
    hosts.host("windows-1", "windows", "10.142.0.5").state.windows_part.networks["overlay"] = "10.132.1.0/24"
    facts = HostFacts(run(want).facts)
    assert {nic.manager for nic in facts.nics.values()} == {"physical Ethernet", "virtual vEthernet (Ethernet)"}
    assert facts.nics[facts.text("default_nic")].manager.startswith("virtual ")
    assert [str(address) for nic, address in facts.addresses if nic == facts.text("default_nic")] == ["10.142.0.5"]


def test_what_a_node_is_asked_about_itself(run: Run) -> None:
    """A fresh host has no network and no kubelet to answer, and both are said in the form that checks read."""
    url = "http://127.0.0.1:10248/healthz"
    said = run(f"gather networks 'answers={url}'")
    assert said.facts["networks"] == ""
    assert said.facts["answers"] == f"{url} {REFUSED.format(10248)}"


def test_a_secret_is_written_and_not_shown(run: Run, hosts: MemoryHosts) -> None:
    """The host has it, and what the script said has not."""
    said = run("secret_file C:\\k\\key secret:1")
    entry = hosts.state("windows-1")["files"]["entries"]["/c:/k/key"]
    assert (entry["content"], entry["mode"]) == ("second-secret", "protected")
    assert "second-secret" not in repr(said)


def test_a_folder_that_was_there_is_taken_from_whoever_made_it(run: Run, hosts: MemoryHosts) -> None:
    """It and all in it becomes the administrators', and what is protected below stays so; a link is refused."""
    run("file C:\\k\\x.exe y\nsecret_file C:\\k\\pki\\a-key.pem secret:0\ndirectory C:\\k\\pki protected")
    entries = hosts.host("windows-1", "windows", "10.142.0.5").state.files.entries
    entries["/c:/k"].mode = "protected"
    for path in ("/c:/k", "/c:/k/x.exe"):
        entries[path].owner = "somebody"
    assert [run("directory C:\\k protected").steps[0].status for _ in range(2)] == [Status.CHANGED, Status.OK]
    assert {path: (entry.mode, entry.owner) for path, entry in entries.items() if path.startswith("/c:/k")} == {
        "/c:/k": ("protected", ""),
        "/c:/k/x.exe": ("inherited", ""),
        "/c:/k/pki": ("protected", ""),
        "/c:/k/pki/a-key.pem": ("protected", ""),
    }
    entries["/c:/k/pki/a-key.pem"].owner = "somebody"
    pair = "inspect_pairs a C:\\k\\a.pem C:\\k\\pki\\a-key.pem C:\\k\\ca.pem"
    assert run(pair).facts["key_mode_a"] == "inherited"
    entries["/c:/l"] = Entry(Kind.LINK, content="/c:/m")
    assert run("directory C:\\l protected").steps[0].message == "C:\\l is a link to another place"


def test_certificates_are_told_and_of_keys_only_who_reads_them(run: Run) -> None:
    """In the form that verify judges; what is not there is said to be missing."""
    run("file C:\\k\\a.pem one\nfile C:\\k\\ca.pem two\nsecret_file C:\\k\\a-key.pem secret:0\nfile C:\\k\\b-key.pem x")
    pairs = [f"{name} C:\\k\\{name}.pem C:\\k\\{name}-key.pem C:\\k\\ca.pem" for name in "abc"]
    said = run(f"inspect_pairs {' '.join(pairs)}")
    assert said.facts == {
        "certificate_a": "one",
        "authority_a": "two",
        "key_mode_a": "protected",
        "certificate_b": "",
        "authority_b": "two",
        "key_mode_b": "inherited",
        "certificate_c": "",
        "authority_c": "two",
        "key_mode_c": "(missing)",
    }


def test_diffs_have_one_hunk() -> None:
    """From the first line that differs to the last, with three lines around."""
    old, new = (
        "".join(f"{n}\n" for n in range(12)),
        "".join(f"{n}\n" for n in [0, 1, 2, 3, "x", 5, 6, "y", *range(8, 12)]),
    )
    assert difference(old, new, "a", "b") == (
        "--- a\n+++ b\n@@ -2,10 +2,10 @@\n 1\n 2\n 3\n-4\n-5\n-6\n-7\n+x\n+5\n+6\n+y\n 8\n 9\n 10\n"
    )
    assert difference("", "a", "nothing", "b") == (
        "--- nothing\n+++ b\n@@ -0,0 +1,1 @@\n+a\n\\ No newline at end of file\n"
    )
