"""The real pywinrm client, through the project's own connection, against a strict WinRM server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from windows import PASSWORD, Make, Windows, run

from plugins.connections.winrm_shell import AWAY, WinrmShell
from plugins.errors import ScriptError, UnreachableError
from plugins.simulate.winrm_shells import Quotas


@pytest.fixture
def windows(tmp_path, monkeypatch) -> Iterator[Make]:
    """Make Windows hosts; they stop with the test."""
    monkeypatch.setenv("NTLM_USER_FILE", "")  # taken back after the test
    with ExitStack() as stack:

        def make(count: int = 1, **options) -> Windows:
            hosts = Windows(tmp_path, count, **options)
            stack.callback(hosts.stop)
            return hosts

        yield make


def refused(hosts: Windows, **winrm) -> UnreachableError:
    """Give the error of a connection that does not come up."""
    with pytest.raises(UnreachableError) as caught:
        hosts.shell(**winrm)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


def test_a_script_and_its_lines_go_both_ways_in_utf_8(windows: Make) -> None:
    """Lines, errors and the remote exit status come back, whatever the characters."""
    shell = windows().shell()
    done, said = run(shell, "say grüß € 漢字 😀", "say ", "err kaputt: ä", "exit 3010")
    assert said == ["grüß € 漢字 😀", ""]
    assert (done.exit_status, done.stderr, done.lost) == (3010, "kaputt: ä\r\n".encode(), "")
    shell.close()


def test_one_shell_a_host_and_five_requests_a_task(windows: Make) -> None:
    """A task on an open shell is Command, Send, Receive and Signal; the shell is made once and always deleted."""
    hosts = windows()
    shell = hosts.shell()
    for _ in range(3):
        assert run(shell, "say ok", "say end")[0].exit_status == 0
    shell.close()
    shell.close()
    made, *tasks, deleted = hosts.doors.requests["windows-1"]
    assert (made, deleted) == ("Create", "Delete")
    assert len(tasks) <= 3 * 5
    assert tasks.count("Command") == tasks.count("Signal") == 3
    assert hosts.shells() == 0
    assert hosts.world.hosts["windows-1"].state.counters.logins <= 2  # the shell's own, and the one that closed it


@pytest.mark.parametrize(
    ("options", "winrm"),
    [
        ({}, {}),
        ({}, {"message_encryption": "always"}),
        ({"plain": True}, {"scheme": "http"}),
        ({"basic": True}, {"authentication": "basic"}),
    ],
)
def test_ways_to_log_in(windows: Make, options, winrm) -> None:
    """NTLM inside TLS, NTLM with messages encrypted by its own keys, and Basic inside TLS."""
    shell = windows(**options).shell(**winrm)
    assert run(shell, "say in")[1] == ["in"]
    shell.close()


def test_a_client_certificate_logs_in(windows: Make, tmp_path) -> None:
    """Mapped to the user on the host; one for somebody else is refused."""
    hosts = windows()
    files = {"certificate_file": tmp_path / "c.pem", "key_file": tmp_path / "k.pem"}
    for user, right in (("Administrator", True), ("nobody", False)):
        signed = hosts.doors.certificates.client(user)
        files["certificate_file"].write_bytes(signed.pem)
        files["key_file"].write_bytes(signed.key_pem)
        if right:
            shell = hosts.shell(authentication="certificate", **files)
            assert run(shell, "say in")[1] == ["in"]
            shell.close()
        else:
            assert "ClientCertificate" in refused(hosts, authentication="certificate", **files).todo


def test_a_wrong_password_is_refused_in_words(windows: Make) -> None:
    """It names user and way, says what to check, and shows no password."""
    login = windows().login(password="wrong-wrong")
    with pytest.raises(UnreachableError) as caught:
        WinrmShell(login)
    error = caught.value
    assert "refused the login of Administrator by ntlm (HTTP status 401)" in error.seen
    assert "winrm.password" in error.todo
    assert "wrong-wrong" not in str(error)


@pytest.mark.parametrize(
    ("fault", "seen", "todo"),
    [
        ("windows-1:certificate", "is self-signed", "server_certificate: ignore"),
        ("windows-1:certificate:is=expired", "has expired", "new certificate"),
        ("windows-1:certificate:is=other-name", "is for another address", "hostname"),
        ("windows-1:changed-host-key", "comes from a CA that is not known", "winrm.ca_file"),
    ],
)
def test_a_certificate_that_proves_nothing_is_refused(windows: Make, fault, seen, todo) -> None:
    """The setting that would take it is named; with it, it is taken."""
    hosts = windows()
    hosts.fault(fault)
    error = refused(hosts)
    assert seen in error.seen
    assert todo in error.todo
    shell = hosts.shell(server_certificate="ignore")
    assert run(shell, "say in")[1] == ["in"]
    shell.close()


def test_without_a_ca_file_a_private_ca_is_not_known(windows: Make, monkeypatch) -> None:
    """Also where the environment names a bundle: what is trusted stands in the inventory."""
    hosts = windows()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(hosts.ca))
    assert "winrm.ca_file" in refused(hosts, ca_file=None).todo


def test_a_closed_port_is_told(windows: Make) -> None:
    """With the system's words, and what to look at."""
    hosts = windows()
    hosts.fault("windows-1:closed")
    error = refused(hosts)
    assert "Connection refused" in error.seen
    assert "listener" in error.todo


def test_no_proxy_and_no_netrc_of_the_environment(windows: Make, monkeypatch) -> None:
    """The environment's proxy would get the connection; it is not asked."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    shell = windows().shell()
    assert run(shell, "say in")[1] == ["in"]
    shell.close()


def test_extras_that_are_missing_are_named(windows: Make) -> None:
    """Kerberos and CredSSP need a module that pywinrm does not bring by itself."""
    from winrm import transport  # noqa: PLC0415

    hosts = windows()
    for kind, there in (("kerberos", transport.HAVE_KERBEROS), ("credssp", transport.HAVE_CREDSSP)):
        if not there:
            assert f"pywinrm[{kind}]" in refused(hosts, authentication=kind).todo


def test_a_script_of_100_kb_and_output_of_10_mb(windows: Make) -> None:
    """The one within a message's limit, the other in pieces that fit the client's."""
    shell = windows().shell()
    done, said = run(shell, "size", "megabytes 10", *["# " + "x" * 98] * 1000, deadline=60)
    assert done.exit_status == 0
    assert int(said[0]) > 100_000
    assert len(said) == 1 + 10 * 1024
    assert {len(line) for line in said[1:]} == {1023}
    shell.close()


def test_a_script_larger_than_one_message(windows: Make) -> None:
    """It is sent in pieces, each below the host's 500 KB."""
    hosts = windows()
    shell = hosts.shell()
    assert int(run(shell, "size", "#" * 900_000)[1][0]) > 900_000
    assert hosts.doors.requests["windows-1"].count("Send") > 2
    shell.close()


def test_lines_arrive_while_the_script_runs_and_silence_is_no_error(windows: Make) -> None:
    """Operation timeouts of the host are waited through."""
    hosts = windows()
    shell = hosts.shell(operation_timeout=1, read_timeout=15)
    times: list[float] = []
    done = shell.run(b"say a\npause 2.5\nsay b", deadline=20, on_line=lambda _: times.append(time.monotonic()))
    assert done.exit_status == 0
    assert times[1] - times[0] > 1
    assert hosts.doors.requests["windows-1"].count("Receive") >= 3
    shell.close()


def test_a_script_that_hangs_is_ended_at_its_deadline(windows: Make) -> None:
    """The host ends it, and says so by its exit status."""
    shell = windows().shell()
    began = time.monotonic()
    done, said = run(shell, "say a", "pause 60", deadline=1)
    assert (done.exit_status, said) == (124, ["a"])
    assert time.monotonic() - began < 20
    assert run(shell, "say next")[1] == ["next"]
    shell.close()


def test_a_line_cut_in_the_middle_of_output_is_made_anew(windows: Make) -> None:
    """The script is seen to its end on the same shell; its result is not taken, as a part may be missing."""
    hosts = windows()
    shell = hosts.shell()
    done, said = run(shell, "say a", "pause 0.3", "cut", "pause 0.3", "say b")
    assert done.exit_status is None
    assert "maybe some output with it" in done.lost
    assert said == ["a", "b"]
    assert run(shell, "say next")[1] == ["next"]
    assert hosts.shells() == 1
    shell.close()


def test_a_line_cut_while_sending_runs_nothing(windows: Make) -> None:
    """The half that arrived has no end line."""
    hosts = windows()
    hosts.fault("windows-1:cut-sending:times=1")
    shell = hosts.shell()
    done, said = run(shell, "say a")
    assert done.exit_status is None
    assert "while the script was sent" in done.lost
    assert (said, hosts.scripts()) == ([], 0)
    assert run(shell, "say b")[1] == ["b"]
    shell.close()


def test_a_connection_that_idled_away_is_made_anew(windows: Make) -> None:
    """Between two scripts nobody notices: http.sys closes idle connections after two minutes."""
    hosts = windows()
    for winrm in ({}, {"message_encryption": "always"}):
        shell = hosts.shell(**winrm)
        run(shell, "say a")
        hosts.ask(_drop(hosts))
        assert run(shell, "say b")[1] == ["b"]
        shell.close()
    assert hosts.shells() == 0


async def _drop(hosts: Windows) -> None:
    hosts.world.hosts["windows-1"].drop_connections()


def test_keys_out_of_step_are_made_anew(windows: Make) -> None:
    """A host that cannot read an encrypted message any more answers 400: the client logs in again."""
    hosts = windows(plain=True)
    shell = hosts.shell(scheme="http")
    hosts.fault("windows-1:forget-keys:times=1")
    assert run(shell, "say a")[1] == ["a"]
    shell.close()
    assert hosts.shells() == 0


def test_a_reboot_in_the_middle_is_told_and_the_next_connection_works(windows: Make) -> None:
    """The shell is gone with the boot; what comes up again takes a new one."""
    hosts = windows()
    shell = hosts.shell()
    done, said = run(shell, "say a", "pause 1", "crash 0.5", "say b")
    assert done.exit_status is None
    assert "did it restart" in done.lost
    assert said == ["a"]
    shell.close()
    shell = hosts.shell()
    assert run(shell, "say c")[1] == ["c"]
    shell.close()


def test_a_host_that_does_not_come_back_is_given_up(windows: Make, monkeypatch) -> None:
    """Not at the script's deadline but after the time that a host may be away."""
    monkeypatch.setattr("plugins.connections.winrm_shell.AWAY", 2.0)
    assert AWAY == 30.0
    hosts = windows()
    shell = hosts.shell()
    began = time.monotonic()
    done, _ = run(shell, "say a", "pause 1", "crash 600", deadline=300)
    assert done.exit_status is None
    assert "the connection was lost" in done.lost
    assert time.monotonic() - began < 15
    shell.close()


def test_a_used_up_quota_of_shells_says_what_to_do(windows: Make) -> None:
    """By fault, and by really opening as many as there may be."""
    hosts = windows(quotas=Quotas(shells=2))
    first, second = hosts.shell(), hosts.shell()
    error = refused(hosts)
    assert "maximum number of 2 concurrent shells" in error.seen
    assert "MaxShellsPerUser" in error.todo
    first.close()
    third = hosts.shell()
    second.close()
    third.close()


def test_a_used_up_quota_of_operations_takes_a_new_shell(windows: Make) -> None:
    """Windows never counts down the operations of a shell; a new one begins at zero."""
    hosts = windows(quotas=Quotas(operations=3))
    shell = hosts.shell()
    for number in range(8):
        assert run(shell, f"say {number}")[1] == [str(number)]
    assert hosts.doors.requests["windows-1"].count("Create") == 3
    assert hosts.shells() == 1
    shell.close()


def test_commands_that_are_done_do_not_count_as_processes(windows: Make) -> None:
    """Each is signalled at its end."""
    shell = windows(quotas=Quotas(processes=2)).shell()
    for number in range(5):
        assert run(shell, f"say {number}")[0].exit_status == 0
    shell.close()


def test_http_500_is_told_with_what_to_look_at(windows: Make) -> None:
    """Without a fault in it there is only the status."""
    hosts = windows()
    hosts.fault("windows-1:http")
    error = refused(hosts)
    assert "HTTP status 500" in error.seen
    assert "event log" in error.todo


def test_a_slow_host_is_waited_for_and_a_stuck_one_is_not(windows: Make) -> None:
    """A late answer is one; none within read_timeout is a lost connection."""
    hosts = windows()
    hosts.fault("windows-1:slow:seconds=0.3")
    shell = hosts.shell()
    assert run(shell, "say late")[1] == ["late"]
    shell.close()
    hosts.mend()
    hosts.fault("windows-1:slow:seconds=6")
    error = refused(hosts, operation_timeout=1, read_timeout=2)
    assert "said nothing for 2 s" in error.seen


def test_closing_from_another_thread_ends_the_script_and_the_shell(windows: Make) -> None:
    """As on Ctrl-C: whoever waits for the script is told at once, and nothing stays on the host."""
    hosts = windows()
    shell = hosts.shell()
    timer = threading.Timer(0.5, shell.close)
    timer.start()
    began = time.monotonic()
    done, said = run(shell, "say a", "pause 60", deadline=100)
    timer.join()
    assert time.monotonic() - began < 20
    assert "it was closed here" in done.lost
    assert (said, hosts.shells()) == (["a"], 0)
    assert run(shell, "say b")[0].exit_status is None


def test_errors_as_xml_come_out_as_text(windows: Make) -> None:
    """Progress is left out, and line ends are line ends."""
    hosts = windows()
    hosts.fault("windows-1:clixml")
    shell = hosts.shell()
    done, _ = run(shell, "err C:\\k <not> there_x: ä")
    assert done.stderr.decode().strip() == "C:\\k <not> there_x: ä"
    shell.close()


def test_holding_is_refused_in_words(windows: Make) -> None:
    """Locks that outlive a script are held over SSH."""
    shell = windows().shell()
    with pytest.raises(ScriptError, match="holds no script beside others"):
        shell.hold(b"", on_line=print)
    shell.close()


def test_100_hosts_side_by_side(windows: Make) -> None:
    """Each with its own login, shell and two scripts."""
    hosts = windows(100)

    def work(name: str) -> list[str]:
        shell = hosts.shell(name)
        try:
            return [*run(shell, f"say {name}", deadline=60)[1], *run(shell, "pause 0.1", "say done", deadline=60)[1]]
        finally:
            shell.close()

    with ThreadPoolExecutor(20) as pool:
        found = dict(zip(hosts.addresses, pool.map(work, hosts.addresses), strict=True))
    assert found == {name: [name, "done"] for name in hosts.addresses}
    assert sum(hosts.shells(name) for name in hosts.addresses) == 0
