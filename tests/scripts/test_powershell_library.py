"""The PowerShell library against a PowerShell grammar. It has not run in a real PowerShell here."""

from __future__ import annotations

import re

import pytest
from powershell_grammar import errors

from plugins.powershell import assemble, environment, libraries, quote, verbs
from plugins.scripts import BodyError


@pytest.mark.parametrize("name", libraries())
def test_the_grammar_knows_all_of_the_library(name: str) -> None:
    """No file of the library has a syntax error."""
    assert errors(libraries()[name]) == []


def test_the_grammar_test_can_fail() -> None:
    """What is cut off is an error."""
    assert errors("function x { if ($a) { 'b' ")


def test_a_whole_script_is_read() -> None:
    """A body with quoted words goes into a script that the grammar knows."""
    words = " ".join(quote(word) for word in ("C:\\k\\x", "0644", "-x", 'it\'s \u2019 "$HOME" `n\n# no comment'))
    script = assemble(f"file {words}\n", marker="@feedc0de ", dry_run=True, wait=5, owner="o'brien")
    assert errors(script) == []
    assert script.endswith("\nsteps_run\n")


def test_quotes_are_doubled_and_nul_is_refused() -> None:
    """Each of the characters that PowerShell ends a quoted word at is doubled."""
    assert quote("a'b\u2019c") == "'a''b\u2019\u2019c'"
    assert quote("C:\\k\\x.exe") == "C:\\k\\x.exe"
    assert quote("10250") == "'10250'"
    with pytest.raises(BodyError, match="NUL"):
        quote("a\0b")


def test_every_step_verb_looks_and_acts() -> None:
    """A verb that is a step has both of its functions."""
    text = "\n".join(libraries().values())
    for verb in verbs():
        if f"function {verb} {{ _step" in text:
            assert f"function _{verb}_look" in text
            assert f"function _{verb}_act" in text
    assert {"file", "service", "windows_feature", "artifact", "gather", "reboot_when"} <= set(verbs())


def test_a_nic_that_ip_does_not_know_has_an_mtu_all_the_same() -> None:
    """The overlay's switch takes the physical NIC from IP: without an MTU its line would be short of a word."""
    text = libraries()["facts"]
    nics = text[text.index("function _fact_nics") : text.index("function _fact_listening")]
    fallbacks = ("$mtu = $mtus[[string]$nic.ifIndex]", "$mtu = $nic.MtuSize", "$mtu = 0", '"$($nic.ifIndex) $mtu $kind')
    places = [nics.index(each) for each in fallbacks]
    assert places == sorted(places)


def test_a_service_is_stopped_for_a_while_together_with_what_depends_on_it() -> None:
    """Windows' own stop takes that along and starts none of it: what is started anew is stopped by a pause."""
    text = libraries()["system"]
    callers = re.findall(r"^function (\w+)(?:(?!^\}).)*?\b_service_stop \$name", text, re.MULTILINE | re.DOTALL)
    assert callers == ["_service_pause", "_service_act"]
    assert "(Get-Service -Name $_).DependentServices" in text
    assert "if (_paused_read $name) { _service_resume $name }" in text


def test_what_is_protected_belongs_to_the_administrators() -> None:
    """Whoever owns a folder may always change who enters it: the owner is looked at, and set with the rules."""
    text = libraries()["host"]
    look, act = (
        text[text.index(f"function {name}(") :].partition("\n}\n")[0] for name in ("_is_protected", "_protect")
    )
    assert "GetOwner([Security.Principal.SecurityIdentifier])" in look
    assert "$rules.SetOwner([Security.Principal.SecurityIdentifier]::new('S-1-5-32-544'))" in act
    assert act.index("SetOwner") < act.index("Set-Acl")


def test_a_folder_that_was_there_is_taken_over_before_it_counts_as_protected() -> None:
    """With all that is in it; the status of the program that does it is looked at."""
    text = libraries()["host"]
    act = text[text.index("function _directory_act(") :].partition("\n}\n")[0]
    assert act.index("if ($old) { _take_over $path }") < act.index("    _protect $path")
    assert "_protect $path 'S-1-3-4'\n    _take_over_below $path" in text
    for words in ("'takeown.exe' @('/F', $path, '/A')", "'icacls.exe' @($path, '/reset', '/Q')"):
        assert f"[void](_run {words})" in text


def test_a_download_does_not_depend_on_a_list_of_revoked_certificates() -> None:
    """Windows' curl fails where it cannot ask for one; nothing else there turns a check off."""
    words = re.findall(r"\$words = @\(('-fsSL'.*)\)", libraries()["downloads"])
    assert ["--ssl-no-revoke" in each for each in words] == [True]
    assert not re.findall(r"--insecure|'-k'|'-fsSLk'", libraries()["downloads"])


def test_an_account_is_known_by_its_number() -> None:
    """Its name is in Windows' own language, and a task that is compared by that would be made anew in every run."""
    text = libraries()["system"]
    assert "New-ScheduledTaskPrincipal -UserId 'S-1-5-18'" in text
    assert "as $(_account ([string]$task.Principal.UserId)):" in text
    assert re.search(r"if \(\$sid -eq 'S-1-5-18'\) \{ return 'SYSTEM' \}", text)


def test_a_script_that_stays_on_a_host_is_a_whole_one_in_ascii() -> None:
    """It is read from a file, where Windows takes what is not ASCII for its own code page."""
    keep = environment("current").filters["script"]
    text = keep("service kube-proxy running\n")
    assert errors(text) == []
    assert text.isascii()
    assert text.endswith("\nsteps_run\n")
    with pytest.raises(BodyError, match="ASCII"):
        keep("service 'kübe' running\n")
