"""The store: what it writes, keeps, renews, refuses, and plans without writing."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Barrier, Event

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from plugins.errors import UsageError
from plugins.pki.authority import create_authority
from plugins.pki.disk import exclusive
from plugins.pki.files import write_authority
from plugins.pki.profiles import Names
from plugins.pki.records import HeldAuthority, Leaf, Planned
from plugins.pki.store import Store
from plugins.pki.table import AUTHORITIES
from plugins.secret import Secret, redact

NOW = datetime(2026, 5, 4, 12, 30, 15, tzinfo=UTC)
DAY = timedelta(days=1)
WORD = "correct horse battery staple"


def names(host="linux-1", *addresses):
    return Names("demo", host, "cluster.local", tuple(map(ip_address, addresses or ["10.142.0.3"])))


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "state" / "demo" / "pki"


@pytest.fixture
def store(folder) -> Store:
    return Store(folder, "demo")


@pytest.fixture
def made(store, folder) -> Path:
    """A folder with an authority and one leaf."""
    store.ensure_authority("ovn", NOW, master=None)
    store.ensure_leaf("ovn", names(), NOW)
    return folder


def tree(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything under a folder's parent: mode, time of change, content."""
    return {
        str(path): (path.lstat().st_mode, path.lstat().st_ctime_ns, path.read_bytes() if path.is_file() else b"")
        for path in [folder, *folder.rglob("*")]
    }


def plain(leaf: Leaf) -> tuple[str, str, str]:
    """What a host gets, to be compared: a Secret is equal to itself only."""
    return leaf.key_pem.reveal(), leaf.certificate_pem, leaf.ca_pem


def matches(leaf: Leaf) -> bool:
    key = load_pem_private_key(leaf.key_pem.reveal().encode(), None)
    return key.public_key() == x509.load_pem_x509_certificate(leaf.certificate_pem.encode()).public_key()


def test_first_made_then_kept(store, folder):
    """The first call makes authority and leaf and says so; the second hands out the same ones."""
    authority = store.ensure_authority("ovn", NOW, master=None)
    assert (authority.changed, authority.reason) == (True, "there is none yet")
    leaf = store.ensure_leaf("ovn", names(), NOW)
    assert (leaf.changed, leaf.reason, leaf.ca_pem) == (True, "there is none yet", authority.certificate_pem)
    assert matches(leaf)
    before = tree(folder)
    again = Store(folder, "demo")
    assert again.ensure_authority("ovn", NOW, master=authority.fingerprint) == replace(
        authority, changed=False, reason=None
    )
    kept = again.ensure_leaf("ovn", names(), NOW)
    assert (kept.changed, kept.reason, plain(kept)) == (False, None, plain(leaf))
    assert again.authority_fingerprint("ovn") == authority.fingerprint
    assert tree(folder) == before


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_folders_are_0700_and_files_0600_whatever_the_umask(store, folder, umask):
    """Also the state folder itself when it is made here."""
    before = os.umask(umask)
    try:
        store.ensure_authority("ovn", NOW, master=None)
        store.ensure_leaf("ovn", names(), NOW)
    finally:
        os.umask(before)
    for path in [folder.parent.parent, folder.parent, folder, *folder.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        "authorities/ovn/ca.key",
        "authorities/ovn/ca.pem",
        "leaves/ovn/linux-1.pem",
    ]


def test_an_open_folder_is_closed_again(store, made):
    """A pki folder that came back from a backup with mode 0755 becomes 0700."""
    made.chmod(0o755)
    store.ensure_leaf("ovn", names(), NOW)
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


@pytest.mark.parametrize("file", ["authorities/ovn/ca.key", "leaves/ovn/linux-1.pem"])
def test_a_key_that_others_may_read_is_refused(made, file):
    """The error has the file and the command that mends it."""
    (made / file).chmod(0o640)
    with pytest.raises(UsageError, match=f"{file}: other users .*mode 0640.*chmod 600"):
        Store(made, "demo").ensure_leaf("ovn", names(), NOW)


@pytest.mark.usefixtures("made")
def test_changed_names_are_issued_again(store):
    """A new address gets a new key and certificate, with the reason; the authority stays."""
    old = store.ensure_leaf("ovn", names(), NOW)
    new = store.ensure_leaf("ovn", names("linux-1", "10.142.0.9"), NOW)
    assert new.reason == "its names differ: lacks IPAddress 10.142.0.9, has IPAddress 10.142.0.3"
    assert plain(new)[0] != plain(old)[0]
    assert new.ca_pem == old.ca_pem
    assert matches(new)


@pytest.mark.usefixtures("made")
def test_a_leaf_is_renewed_before_it_expires(store):
    """336 days on, thirty days before the end: issued again; a day earlier not."""
    assert not store.ensure_leaf("ovn", names(), NOW + 334 * DAY).changed
    assert store.ensure_leaf("ovn", names(), NOW + 336 * DAY).reason == "it expires on 2027-05-04"


def test_a_leaf_needs_its_authority_first(store, folder):
    """No authority is made on the way: only `ensure_authority` knows what the master holds."""
    with pytest.raises(UsageError, match="there is no CA yet"):
        store.ensure_leaf("ovn", names(), NOW)
    assert list(folder.rglob("*")) == []


def test_no_authority_is_made_beside_the_masters(store, folder):
    """The master holds one that the state folder does not know: refused, dry run included, nothing written."""
    for call in (store.plan_authority, store.ensure_authority):
        with pytest.raises(UsageError, match=r"the master trusts a CA \(AB:CD\) and the state folder has no CA"):
            call("ovn", NOW, master="AB:CD")
    assert list(folder.rglob("*")) == []


def test_another_authority_on_the_master_is_refused(store, made):
    """Both fingerprints are named, and the authority here is left alone."""
    before = tree(made)
    for call in (store.plan_authority, store.ensure_authority):
        with pytest.raises(UsageError, match="another CA"):
            call("ovn", NOW, master="AB:CD")
    assert tree(made) == before


def test_a_dry_run_on_nothing_writes_nothing(store, tmp_path):
    """Not even a folder; it says what would be made."""
    assert store.plan_authority("ovn", NOW, master=None) == Planned("OVN CA of demo", "there is none yet")
    planned = store.plan_leaf("ovn", names(), NOW)
    assert planned == Planned("ovn certificate of linux-1", "there is none yet, and its CA would be made first")
    assert store.listing(NOW) == []
    assert store.authority_fingerprint("ovn") is None
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_tells_what_the_real_run_then_does(store, made):
    """For a good, a missing and an ageing leaf: plan, check that nothing changed, do it, compare."""
    for host, now in (("linux-1", NOW), ("linux-2", NOW), ("linux-1", NOW + 350 * DAY)):
        before = tree(made)
        planned = store.plan_leaf("ovn", names(host), now)
        assert tree(made) == before
        done = store.ensure_leaf("ovn", names(host), now)
        if done.changed:
            assert planned == Planned(f"ovn certificate of {host}", done.reason)
        else:
            assert isinstance(planned, Leaf)
            assert (planned.changed, plain(planned)) == (False, plain(done))
    held = store.plan_authority("ovn", NOW, master=None)
    assert isinstance(held, HeldAuthority)
    assert not held.changed


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:100])


def _replace_by_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("")


def _replace_by_dead_link(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to("nowhere")


def _replace_key(folder: Path) -> None:
    other = folder.parents[1] / "second"
    Store(other, "demo").ensure_authority("ovn", NOW, master=None)
    shutil.copy(other / "authorities" / "ovn" / "ca.key", folder / "ca.key")


def _key_as_folder(folder: Path) -> None:
    (folder / "ca.key").unlink()
    (folder / "ca.key").mkdir()


LEAF = Path("leaves/ovn/linux-1.pem")
DAMAGES = {
    "no key": (lambda ca: (ca / "ca.key").unlink(), r"ca\.key: is missing .* restore the folder"),
    "no certificate": (lambda ca: (ca / "ca.pem").unlink(), r"ca\.pem: is missing .* restore the folder"),
    "empty folder": (lambda ca: [file.unlink() for file in ca.iterdir()], r"ca\.pem: is missing .* restore"),
    "a file in its place": (_replace_by_file, r"ca\.pem: cannot be read: Not a directory"),
    "a dead link in its place": (_replace_by_dead_link, r"ca\.pem: is missing"),
    "empty key": (lambda ca: (ca / "ca.key").write_bytes(b""), r"ca\.key: no private key can be read: restore"),
    "cut key": (lambda ca: _cut(ca / "ca.key"), r"ca\.key: no private key can be read: restore"),
    "cut certificate": (lambda ca: _cut(ca / "ca.pem"), r"ca\.pem: no CA certificate can be read: restore"),
    "binary certificate": (
        lambda ca: (ca / "ca.pem").write_bytes(bytes(range(256))),
        r"ca\.pem: no CA certificate can be read: restore",
    ),
    "another key": (_replace_key, r"ca\.key is not the key of ca\.pem: restore both"),
    "a leaf as certificate": (
        lambda ca: shutil.copy(ca.parents[1] / LEAF, ca / "ca.pem"),
        r"ca\.pem: no CA certificate can be read",
    ),
    "a folder as key": (_key_as_folder, r"ca\.key: "),
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_broken_authority_is_an_error_and_never_replaced(made, how):
    """Every call that needs it says which file is wrong and what to do, and leaves all as it was."""
    damage, words = DAMAGES[how]
    damage(made / "authorities" / "ovn")
    before = tree(made)
    broken = Store(made, "demo")
    for call in (
        lambda: broken.plan_authority("ovn", NOW, master=None),
        lambda: broken.ensure_authority("ovn", NOW, master=None),
        lambda: broken.plan_leaf("ovn", names("new"), NOW),
        lambda: broken.ensure_leaf("ovn", names("new"), NOW),
    ):
        with pytest.raises(UsageError, match=words):
            call()
    assert tree(made) == before


def test_a_folder_that_may_not_be_searched_is_not_taken_for_an_empty_one(made):
    """Run as a user without rights on the folder: an error, and no new authority."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    code = (
        "import os, sys; from datetime import datetime, UTC; from pathlib import Path\n"
        "from plugins.pki.store import Store; from plugins.errors import UsageError\n"
        "store = Store(Path(sys.argv[1]), 'demo'); os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: store.plan_authority('ovn', datetime.now(UTC), master=None)\n"
        "except UsageError as exc: print(exc)\n"
    )
    for parent in made.parents[:4]:  # up to pytest's own folder for this test
        parent.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", code, made], capture_output=True, text=True, check=True)
    assert "cannot be read: Permission denied" in done.stdout


def test_an_authority_of_another_cluster_is_refused(made):
    """Two clusters must not share a state folder."""
    with pytest.raises(UsageError, match="'OVN CA of demo', wanted is 'OVN CA of other'"):
        Store(made, "other").ensure_authority("ovn", NOW, master=None)


def test_an_expired_authority_is_refused(made):
    """It is neither used nor replaced."""
    with pytest.raises(UsageError, match="the CA expired on 2036-05-01"):
        Store(made, "demo").ensure_leaf("ovn", names(), NOW + 3651 * DAY)


@pytest.mark.parametrize("damage", [b"", b"junk", bytes(range(256))], ids=["empty", "junk", "binary"])
def test_a_broken_leaf_is_issued_again(store, made, damage):
    """A leaf can be replaced at no loss, so it is, with the reason."""
    (made / "leaves" / "ovn" / "linux-1.pem").write_bytes(damage)
    leaf = store.ensure_leaf("ovn", names(), NOW)
    assert leaf.reason == "the stored one cannot be read"
    assert matches(leaf)


def test_a_leaf_with_a_foreign_key_is_issued_again(store, made):
    """A file put together by hand from two leaves is not handed to a host."""
    store.ensure_leaf("ovn", names("linux-2"), NOW)
    one, two = (made / "leaves" / "ovn" / f"linux-{n}.pem" for n in (1, 2))
    begin = "-----BEGIN PRIVATE KEY-----"
    one.write_text(one.read_text().split(begin)[0] + begin + two.read_text().split(begin)[1])
    assert store.ensure_leaf("ovn", names(), NOW).reason == "the stored key and certificate do not belong together"


def test_leaves_of_a_replaced_authority_are_issued_again(made):
    """Once the operator moved the old authority away on purpose, every host gets a leaf of the new one."""
    shutil.move(made / "authorities" / "ovn", made.parent / "old")
    fresh = Store(made, "demo")
    fresh.ensure_authority("ovn", NOW, master=None)
    assert fresh.ensure_leaf("ovn", names(), NOW).reason == "it was issued by another authority"


def test_with_a_passphrase_no_key_is_readable_without(folder):
    """Authority and leaf are encrypted PKCS#8 on disk; the host still gets a plain key."""
    store = Store(folder, "demo", Secret(WORD))
    store.ensure_authority("ovn", NOW, master=None)
    leaf = store.ensure_leaf("ovn", names(), NOW)
    for file in ("authorities/ovn/ca.key", "leaves/ovn/linux-1.pem"):
        assert "BEGIN ENCRYPTED PRIVATE KEY" in (folder / file).read_text()
    assert "BEGIN PRIVATE KEY" in leaf.key_pem.reveal()
    assert plain(Store(folder, "demo", Secret(WORD)).ensure_leaf("ovn", names(), NOW)) == plain(leaf)
    if shutil.which("openssl"):
        check = ["openssl", "pkey", "-noout", "-in", str(folder / "authorities/ovn/ca.key"), "-passin", "env:WORD"]
        assert subprocess.run(check, env={**os.environ, "WORD": WORD}, check=False).returncode == 0


@pytest.mark.parametrize(
    ("made_with", "used_with", "words"),
    [
        (WORD, "wrong horse", r"ca\.key: the private key cannot be decrypted: the passphrase is wrong"),
        (WORD, None, r"ca\.key: the private key is encrypted: set the passphrase"),
        (None, WORD, r"ca\.key: the private key is not encrypted although a passphrase is set"),
        (WORD, "", "the passphrase must have 1 to 1023 bytes"),
        (WORD, "x" * 1024, "the passphrase must have 1 to 1023 bytes"),
    ],
)
def test_a_wrong_passphrase_is_an_error_without_the_passphrase_in_it(folder, made_with, used_with, words):
    """File, cause and what to do; nothing is replaced, and neither word is shown, in no chained error either."""
    Store(folder, "demo", made_with and Secret(made_with)).ensure_authority("ovn", NOW, master=None)
    before = tree(folder)
    store = Store(folder, "demo", None if used_with is None else Secret(used_with))
    with pytest.raises(UsageError, match=words) as caught:
        store.ensure_authority("ovn", NOW, master=None)
    assert tree(folder) == before
    assert not {WORD, "wrong horse"} & set(repr([caught.value, caught.value.__cause__]).split("'"))
    assert caught.value.__cause__ is None


def test_an_unusable_passphrase_makes_nothing(folder):
    """An empty passphrase is found before anything is written."""
    with pytest.raises(UsageError, match="passphrase"):
        Store(folder, "demo", Secret("")).ensure_authority("ovn", NOW, master=None)
    assert list(folder.rglob("*")) == []


def test_the_listing_needs_no_passphrase(folder):
    """Authorities first, then leaves by host, with whole days left; expired ones count below zero."""
    store = Store(folder, "demo", Secret(WORD))
    store.ensure_authority("ovn", NOW, master=None)
    for host in ("master", "linux-1"):
        store.ensure_leaf("ovn", names(host), NOW)
    rows = Store(folder, "demo").listing(NOW + timedelta(hours=1))
    assert [(row.name, row.subject, row.days_left) for row in rows] == [
        ("ovn CA", "CN=OVN CA of demo", 3649),
        ("ovn linux-1", "CN=linux-1", 364),
        ("ovn master", "CN=master", 364),
    ]
    assert rows[1].not_after == NOW + 365 * DAY
    assert [row.days_left for row in store.listing(NOW + 365 * DAY + timedelta(seconds=1))] == [3284, -1, -1]


def test_the_listing_shows_a_broken_file_and_goes_on(store, made):
    """One damaged leaf does not hide the others."""
    (made / "leaves" / "ovn" / "a.pem").write_text("junk")
    rows = {row.name: row for row in store.listing(NOW)}
    assert rows["ovn a"].problem.endswith("a.pem: no certificate can be read")
    assert rows["ovn a"].days_left is None
    assert rows["ovn linux-1"].days_left == 365


def test_thirty_hosts_in_parallel(store, folder):
    """All get a leaf of their own at once, and each host asked for twice is issued once."""
    store.ensure_authority("ovn", NOW, master=None)
    start = Barrier(30)

    def ask(number: int) -> Leaf:
        start.wait(timeout=20)
        return store.ensure_leaf("ovn", names(f"linux-{number % 15}"), NOW)

    with ThreadPoolExecutor(30) as pool:
        leaves = list(pool.map(ask, range(30)))
    assert all(map(matches, leaves))
    assert sum(leaf.changed for leaf in leaves) == 15
    assert len({leaf.certificate_pem for leaf in leaves}) == 15
    assert len({leaf.ca_pem for leaf in leaves}) == 1
    assert not list(folder.rglob(".*"))


def test_another_process_waits_while_this_one_writes(folder):
    """While one run is inside, a second one writes nothing; then it goes on with what the first has made."""
    code = (
        "import sys; from datetime import datetime, UTC; from pathlib import Path\n"
        "from plugins.pki.store import Store\n"
        "store = Store(Path(sys.argv[1]), 'demo'); print('ready', flush=True)\n"
        "print(store.ensure_authority('ovn', datetime.now(UTC), master=None).changed)\n"
    )
    with exclusive(folder):
        other = subprocess.Popen([sys.executable, "-c", code, folder], stdout=subprocess.PIPE, text=True)
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(timeout=0.5)
        write_authority(folder / "authorities" / "ovn", create_authority(AUTHORITIES[0], "demo", NOW), None)
    assert other.communicate(timeout=60)[0] == "False\n"


def test_a_reader_never_sees_half_a_leaf(store, made):
    """While a leaf is issued over and over, key and certificate in its file always belong together."""
    file, stop = made / "leaves" / "ovn" / "linux-1.pem", Event()

    def read() -> int:
        count = 0
        while not stop.is_set():
            pem = file.read_bytes()
            key = load_pem_private_key(pem, None)
            assert key.public_key() == x509.load_pem_x509_certificate(pem).public_key()
            count += 1
        return count

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        for number in range(100):
            assert store.ensure_leaf("ovn", names("linux-1", f"10.142.1.{number}"), NOW).changed
        stop.set()
        assert all(reader.result() > 0 for reader in readers)


def test_a_full_or_read_only_disk_is_an_error_that_leaves_the_old_leaf(store, made):
    """Writing fails (a folder bars the temporary name): the file is as it was, the error names it."""
    before = store.ensure_leaf("ovn", names(), NOW)
    (made / "leaves" / "ovn" / ".linux-1.pem.new").mkdir()
    with pytest.raises(UsageError, match=r"linux-1\.pem\.new.*: cannot be written: Is a directory"):
        store.ensure_leaf("ovn", names("linux-1", "10.142.0.9"), NOW)
    assert plain(store.ensure_leaf("ovn", names(), NOW)) == plain(before)


@pytest.mark.usefixtures("made")
def test_keys_do_not_show(store):
    """Neither a leaf's repr nor a text that quotes one line of the key gives it away."""
    leaf = store.ensure_leaf("ovn", names(), NOW)
    lines = leaf.key_pem.reveal().splitlines()
    assert lines[1] not in repr(leaf)
    assert lines[1] not in redact(f"+{lines[1]}\n+{lines[2]}")
    assert lines[2] not in redact(f"+{lines[1]}\n+{lines[2]}")


def test_a_name_that_does_not_fit_is_found_by_the_dry_run(store):
    """With and without an authority, and not only when the certificate is to be signed."""
    too_long = replace(names(), domain=".".join(["a" * 62] * 4))
    with pytest.raises(UsageError, match="253 characters"):
        store.plan_leaf("ovn", too_long, NOW)
    store.ensure_authority("ovn", NOW, master=None)
    with pytest.raises(UsageError, match="253 characters"):
        store.plan_leaf("ovn", too_long, NOW)


def test_an_unknown_row_is_an_error_that_lists_the_known(store):
    """A misspelt name says what there is."""
    with pytest.raises(UsageError, match=r"no row 'onv' in the table: it has .*\bovn\b"):
        store.plan_leaf("onv", names(), NOW)
