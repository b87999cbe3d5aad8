"""Downloads with a real bash, curl and tar, from a web server of the test's own: put in place once, whole, or not."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import time
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
from scripting import Run, run_body
from serving import Web, web  # noqa: F401  # a fixture

from plugins.scripts import quote


@pytest.fixture
def place(tmp_path: Path) -> Run:
    """Run a body with /run/ovn-runbooks and /var/lib below tmp_path."""
    if os.geteuid() != 0:
        pytest.skip("the step library needs root (in a mount namespace of its own)")
    for folder in ("run", "var-lib"):
        (tmp_path / folder).mkdir()
    return partial(run_body, tmp_path / "run", prefix=f"mount --bind {tmp_path}/var-lib /var/lib &&")


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def left(tmp_path: Path) -> list[str]:
    """Name what is in the folders that downloads pass through."""
    staged = tmp_path / "var-lib" / "ovn-runbooks" / "staged"
    return sorted(path.name for path in staged.iterdir()) if staged.is_dir() else []


def file(path: Path, data: bytes, url: str, mode: str = "0755") -> str:
    return f"artifact {path} {mode} amd64 {digest(data)} {quote(url)} arm64 {digest(data)} {quote(url)}\n"


def test_a_file_is_downloaded_once(place: Run, web: Web, tmp_path: Path) -> None:  # noqa: F811
    """The first run puts it there with its mode, the second asks nobody; nothing of the way is left."""
    data, path = b"\x7fELF" * 100_000, tmp_path / "bin" / "tool"
    web.files["tool"] = data
    body = file(path, data, web.url("tool"))
    assert place(body, dry_run=True).statuses == ["would-change"]
    assert (path.exists(), web.asked, left(tmp_path)) == (False, [], [])
    said = place(body)
    assert said.statuses == ["changed"]
    assert said.steps[0].diff == f"-{path}: (missing)\n+{path}: {digest(data)}\n"
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (data, 0o755)
    assert (left(tmp_path), [each.name for each in path.parent.iterdir()]) == ([], ["tool"])
    assert place(body).statuses == ["ok"]
    assert len(web.asked) == 1


def test_a_wrong_checksum_leaves_the_old_file(place: Run, web: Web, tmp_path: Path) -> None:  # noqa: F811
    """Whatever a server sends instead, what worked stays, and both checksums are named."""
    path = tmp_path / "tool"
    path.write_bytes(b"old")
    web.files["tool"] = b"forged"
    said = place(file(path, b"right", web.url("tool")))
    assert said.statuses == ["failed"]
    assert digest(b"forged") in said.steps[0].output
    assert digest(b"right") in said.steps[0].output
    assert (path.read_bytes(), left(tmp_path)) == (b"old", [])


def test_a_truncated_download_goes_on_where_it_was_cut(place: Run, web: Web, tmp_path: Path) -> None:  # noqa: F811
    """A server that hangs up in the middle is asked for the rest."""
    data, path = os.urandom(300_000), tmp_path / "tool"
    web.files["tool"] = data
    web.cut["tool"] = 100_000
    assert place(file(path, data, web.url("tool"))).statuses == ["changed"]
    assert path.read_bytes() == data
    assert web.asked == [("tool", 0), ("tool", 100_000)]


def test_a_run_that_was_killed_is_gone_on_with(place: Run, web: Web, tmp_path: Path) -> None:  # noqa: F811
    """What was downloaded by then is not downloaded again, also where it was no part of the right file."""
    data, path = os.urandom(300_000), tmp_path / "tool"
    web.files["tool"] = data
    staged = tmp_path / "var-lib" / "ovn-runbooks" / "staged"
    staged.mkdir(parents=True)
    part = staged / f"{digest(data)}.part"
    part.write_bytes(data[:200_000])
    assert place(file(path, data, web.url("tool"))).statuses == ["changed"]
    assert web.asked == [("tool", 200_000)]
    path.unlink()
    part.write_bytes(b"something else")
    assert place(file(path, data, web.url("tool"))).statuses == ["changed"]
    assert path.read_bytes() == data
    path.unlink()
    part.write_bytes(data)
    web.asked.clear()
    assert place(file(path, data, web.url("tool"))).statuses == ["changed"]
    assert (web.asked, left(tmp_path)) == ([], [])


def test_a_file_that_was_tampered_with_is_replaced(place: Run, web: Web, tmp_path: Path) -> None:  # noqa: F811
    """Same size, same inode, old mtime: the ctime tells."""
    data, path = b"right", tmp_path / "tool"
    web.files["tool"] = data
    body = file(path, data, web.url("tool"))
    place(body)
    before = path.stat()
    with path.open("r+b") as stream:
        stream.write(b"wrong")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_ino == before.st_ino
    assert place(body).statuses == ["changed"]
    assert path.read_bytes() == data


def test_what_is_right_is_never_downloaded(place: Run, web: Web, tmp_path: Path) -> None:  # noqa: F811
    """A file that somebody else put there is adopted, and a mode is set right without a download."""
    path = tmp_path / "tool"
    path.write_bytes(b"right")
    path.chmod(0o755)
    body = file(path, b"right", web.url("tool"))
    assert place(body).statuses == ["ok"]
    path.chmod(0o644)
    said = place(body)
    assert said.statuses == ["changed"]
    assert said.steps[0].diff == f"-{path}: mode and owner 644 root:root\n+{path}: mode and owner 755 root:root\n"
    assert (place(body).statuses, web.asked) == (["ok"], [])


def test_a_big_file_is_not_hashed_at_every_run(place: Run, web: Web, tmp_path: Path) -> None:  # noqa: F811
    """Once noted, a file is looked at by its stamp: no sha256sum runs."""
    data, path = b"right", tmp_path / "tool"
    web.files["tool"] = data
    body = file(path, data, web.url("tool"))
    place(body)
    assert place(f"ensure hide true true\n{body}", dry_run=True).statuses == ["ok", "ok"]
    broken = tmp_path / "no-sha256sum"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    hidden = partial(
        place, prefix=f"mount --bind {tmp_path}/var-lib /var/lib && mount --bind {broken} /usr/bin/sha256sum &&"
    )
    assert hidden(body).statuses == ["ok"]
    path.touch()
    assert hidden(body).statuses == ["failed"]


def packed(**members: bytes) -> bytes:
    """Make a tar.gz whose files are as old as the epoch."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def test_an_archives_members_are_put_in_place(place: Run, web: Web, tmp_path: Path) -> None:  # noqa: F811
    """Only those that are named, under their last names, with the time of now; a second run changes nothing."""
    data, folder = packed(loopback=b"one", **{"bin/portmap": b"two", "README": b"no"}), tmp_path / "cni"
    web.files["cni.tgz"] = data
    body = f"artifact_archive {folder} 0755 'loopback bin/portmap' amd64 {digest(data)} {web.url('cni.tgz')}\n"
    assert place(body, dry_run=True).statuses == ["would-change"]
    assert not folder.exists()
    assert place(body).statuses == ["changed"]
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == {"loopback": b"one", "portmap": b"two"}
    assert (folder / "loopback").stat().st_mtime > 1e9
    assert (place(body).statuses, len(web.asked), left(tmp_path)) == (["ok"], 1, [])
    (folder / "portmap").unlink()
    said = place(body)
    assert (said.statuses, (folder / "portmap").read_bytes()) == (["changed"], b"two")
    assert "loopback" not in said.steps[0].diff


def test_a_whole_archive_keeps_its_paths(place: Run, web: Web, tmp_path: Path) -> None:  # noqa: F811
    """Without names all files are put in place, under their paths."""
    data, folder = packed(**{"a": b"one", "b/c": b"two"}), tmp_path / "all"
    web.files["all.tgz"] = data
    body = f"artifact_archive {folder} 0644 '' amd64 {digest(data)} {web.url('all.tgz')}\n"
    assert place(body).statuses == ["changed"]
    assert ((folder / "a").read_bytes(), (folder / "b" / "c").read_bytes()) == (b"one", b"two")
    assert (place(body).statuses, len(web.asked)) == (["ok"], 1)


def test_an_archive_without_a_member_changes_nothing(place: Run, web: Web, tmp_path: Path) -> None:  # noqa: F811
    """A member that is not there, or is a link, is a failure that names it."""
    data, folder = packed(other=b"x"), tmp_path / "cni"
    web.files["cni.tgz"] = data
    said = place(f"artifact_archive {folder} 0755 loopback amd64 {digest(data)} {web.url('cni.tgz')}\n")
    assert said.statuses == ["failed"]
    assert "The archive has no file loopback" in said.steps[0].output
    assert not (folder / "loopback").exists()


def test_a_host_of_another_architecture_is_told(place: Run, tmp_path: Path) -> None:
    """Nothing is pinned for it: that cannot be mended here."""
    said = place(f"artifact {tmp_path}/tool 0755 sparc {digest(b'')} https://example.org/x\n")
    assert (said.statuses, said.steps[0].message) == (["failed"], "nothing for linux/amd64 is pinned")


def pushed(path: Path, data: bytes) -> str:
    return f"artifact {path} 0755 amd64 {digest(data)} push:{path.name}\n"


def test_files_of_a_mirror_are_asked_for_all_at_once(place: Run, tmp_path: Path) -> None:
    """Nothing is said of them until they are there; then they are put in place, and nothing of the way is left."""
    one, two = b"one\0\n" * 50_000, b"two"
    body = pushed(tmp_path / "one", one) + pushed(tmp_path / "two", two) + "artifacts_sent\n"
    assert place(body, dry_run=True).statuses == ["would-change", "would-change"]
    said = place(body)
    assert [(step.name, step.asks) for step in said.steps] == [("files of the mirror", "push")]
    assert said.transcript.facts["wanted"] == f"{digest(one)} one\n{digest(two)} two\n"
    receiving = f"receive {digest(one)} {len(one)} one\nreceive {digest(two)} {len(two)} two\n"
    assert place(receiving, data=one + two).statuses == ["changed", "changed"]
    assert place(body).statuses == ["changed", "changed"]
    assert ((tmp_path / "one").read_bytes(), (tmp_path / "two").read_bytes()) == (one, two)
    assert (place(body).statuses, left(tmp_path)) == (["ok", "ok"], [])


@pytest.mark.parametrize("sent", [b"ri", b"wrong"], ids=["cut", "another"])
def test_what_arrives_wrong_is_not_kept(place: Run, tmp_path: Path, sent: bytes) -> None:
    """A connection that was cut, or another file: it fails, and the next run asks again."""
    said = place(f"receive {digest(b'right')} 5 tool\n", data=sent)
    assert said.statuses == ["failed"]
    assert digest(b"right") in said.steps[0].message
    assert left(tmp_path) == []


def test_a_full_disk_is_said(place: Run, tmp_path: Path) -> None:
    """The host's own words come with the failure, and what was written goes."""
    data = bytes(200_000)
    small = f"mount --bind {tmp_path}/var-lib /var/lib && mount -t tmpfs -o size=64k none /var/lib &&"
    said = place(f"receive {digest(data)} {len(data)} tool\n", data=data, prefix=small)
    assert said.statuses == ["failed"]
    assert "No space left" in said.steps[0].output


def test_a_service_is_restarted_for_a_new_file(place: Run, web: Web, tmp_path: Path) -> None:  # noqa: F811
    """The time of a file is when it was put in place, however long its download took."""
    data, path = b"right", tmp_path / "tool"
    web.files["tool"] = data
    before = time.time()
    place(file(path, data, web.url("tool")))
    assert before - 1 <= path.stat().st_mtime <= time.time()


CTR = """#!/bin/sh
# Of containerd: images by namespace are files of the folder $S; an image's content is the folder $S/content. What was
# once mounted stays $S/view until it is unmounted with --rm.
S=%s
shift; space=$1; shift 2
mkdir -p "$S/$space"
for last; do :; done
echo "$space $*" >>"$S/asked"
key() { printf %%s "$1" | tr '/:' '__'; }
case "$1" in
  list)
    name=${last#name==}; name=${name%%%%,*}; image=$S/$space/$(key "$name")
    case "$last" in
      *,*) ! grep -qsx 'io.cri-containerd.pinned=pinned' "$image" || echo "$name" ;;
      *) [ ! -e "$image" ] || echo "$name" ;;
    esac ;;
  import) name=$(cat "$last"); touch "$S/$space/$(key "$name")" ;;
  label)
    image=$S/$space/$(key "$2")
    if [ -e "$image" ]; then echo "$last" >"$image"; else echo "image $2: not found" >&2; exit 1; fi ;;
  pull) touch "$S/$space/$(key "$last")" ;;
  mount) [ -e "$S/view" ] || cp -r "$S/content" "$S/view"; mount --bind "$S/view" "$last" ;;
  unmount) ! mountpoint -q "$last" || umount "$last"; rm -r "$S/view" ;;
  remove) rm "$S/$space/$(key "$last")" ;;
  *) exit 1 ;;
esac
"""


@pytest.fixture
def containerd(tmp_path: Path) -> Run:
    """Run a body where a program of that form stands in for ctr, and a socket for containerd's."""
    if os.geteuid() != 0:
        pytest.skip("the step library needs root (in a mount namespace of its own)")
    for folder in ("run", "var-lib", "bin", "ctr/content/usr/bin", "socket"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "bin" / "ctr").write_text(CTR % (tmp_path / "ctr"))
    (tmp_path / "bin" / "ctr").chmod(0o755)
    # A socket's path has a bound of about a hundred bytes, which a test's folder may be over.
    listening = "import socket; socket.socket(socket.AF_UNIX).bind('containerd.sock')"
    subprocess.run([sys.executable, "-c", listening], cwd=tmp_path / "socket", check=True)
    mounts = {"var-lib": "/var/lib", "bin": "/usr/local/sbin", "socket": "/run/containerd"}
    prefix = " ".join(f"mkdir -p {to} && mount --bind {tmp_path}/{name} {to} &&" for name, to in mounts.items())
    return lambda body, more="", **how: run_body(tmp_path / "run", body, prefix=prefix + more, **how)


def test_an_image_is_imported_once(containerd: Run, web: Web) -> None:  # noqa: F811
    """It is looked for by its reference, imported where it is missing, and kept from being collected."""
    data = b"registry.k8s.io/pause:3"
    web.files["pause.tar"] = data
    body = f"artifact_image registry.k8s.io/pause:3 amd64 {digest(data)} {web.url('pause.tar')}\nartifacts_sent\n"
    assert containerd(body, dry_run=True).statuses == ["would-change"]
    assert (containerd(body).statuses, containerd(body).statuses) == (["changed"], ["ok"])
    assert len(web.asked) == 1


def test_an_image_of_a_run_that_was_killed_is_pinned_all_the_same(containerd: Run, tmp_path: Path) -> None:
    """It is there, and only what was not done is done: nothing is fetched again."""
    (tmp_path / "ctr/k8s.io").mkdir()
    (tmp_path / "ctr/k8s.io/registry.k8s.io_pause_3").touch()
    body = f"artifact_image registry.k8s.io/pause:3 amd64 {digest(b'x')} push:pause.tar\nartifacts_sent\n"
    assert (containerd(body).statuses, containerd(body).statuses) == (["changed"], ["ok"])
    assert "import" not in (tmp_path / "ctr" / "asked").read_text()


def test_images_are_unpacked_as_containerd_is_configured(containerd: Run, tmp_path: Path) -> None:
    """The client has a default of its own, which may not work on the host's file system."""
    config = tmp_path / "config.toml"
    config.write_text('[plugins]\n  snapshotter = "native"\n  default_runtime_name = "runc"\n')
    (tmp_path / "bin/ctr").write_text(f'#!/bin/sh\necho "$CONTAINERD_SNAPSHOTTER" >{tmp_path}/seen\nexit 1\n')
    body = f"artifact_from_image example.org/ovn@sha256:{digest(b'')} /usr/bin/x {tmp_path}/x 0755\n"
    over = f"mount -t tmpfs none {tmp_path}/socket && cd {tmp_path}/socket && mkdir upper work && "
    over += "mount -t overlay none -o lowerdir=/etc,upperdir=$PWD/upper,workdir=$PWD/work /etc && cd / && "
    containerd(body, f"{over} mkdir -p /etc/containerd && cp {config} /etc/containerd/ &&")
    assert (tmp_path / "seen").read_text() == "native\n"


def test_an_archive_of_another_image_is_a_failure(containerd: Run, web: Web) -> None:  # noqa: F811
    """What it holds is not what was asked for, and the step says so."""
    web.files["pause.tar"] = b"registry.k8s.io/pause:2"
    body = f"artifact_image registry.k8s.io/pause:3 amd64 {digest(web.files['pause.tar'])} {web.url('pause.tar')}\n"
    said = containerd(body)
    assert said.statuses == ["failed"]
    assert said.steps[0].output == "image registry.k8s.io/pause:3: not found"


def test_files_are_taken_out_of_an_image(containerd: Run, tmp_path: Path) -> None:
    """They are placed with their modes, nothing of the image stays, and nothing is pulled again."""
    (tmp_path / "ctr/content/usr/bin/ovnkube").write_bytes(b"program")
    image, path = f"example.org/ovn:1@sha256:{digest(b'image')}", tmp_path / "ovnkube"
    body = f"artifact_from_image {image} /usr/bin/ovnkube {path} 0755\nartifacts_sent\n"
    assert containerd(body, dry_run=True).statuses == ["would-change"]
    assert containerd(body).statuses == ["changed"]
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"program", 0o755)
    assert not list((tmp_path / "ctr" / "ovn-runbooks").iterdir())
    asked = (tmp_path / "ctr" / "asked").read_text()
    assert containerd(body).statuses == ["ok"]
    assert (tmp_path / "ctr" / "asked").read_text() == asked
    assert left(tmp_path) == []


def test_an_image_without_the_file_leaves_nothing(containerd: Run, tmp_path: Path) -> None:
    """The step fails with the path, and neither a mount nor the image is left."""
    image = f"example.org/ovn:1@sha256:{digest(b'image')}"
    said = containerd(f"artifact_from_image {image} /usr/bin/none {tmp_path}/none 0755\n")
    assert said.statuses == ["failed"]
    assert "/usr/bin/none" in said.steps[0].output
    assert not list((tmp_path / "ctr" / "ovn-runbooks").iterdir())
    assert not (tmp_path / "none").exists()


def test_an_image_that_a_killed_run_left_mounted_is_not_taken_for_the_next(containerd: Run, tmp_path: Path) -> None:
    """What containerd had mounted for another image goes first."""
    for folder, program in (("content", b"new"), ("view", b"old")):
        (tmp_path / "ctr" / folder / "usr/bin").mkdir(parents=True, exist_ok=True)
        (tmp_path / "ctr" / folder / "usr/bin/ovnkube").write_bytes(program)
    image, path = f"example.org/ovn:1@sha256:{digest(b'image')}", tmp_path / "ovnkube"
    assert containerd(f"artifact_from_image {image} /usr/bin/ovnkube {path} 0755\n").statuses == ["changed"]
    assert path.read_bytes() == b"new"


def test_a_full_disk_leaves_the_program_of_before(containerd: Run, tmp_path: Path) -> None:
    """A copy that did not become whole takes nobody's place, and neither a mount nor the image is left."""
    (tmp_path / "ctr/content/usr/bin/ovnkube").write_bytes(bytes(200_000))
    image, folder = f"example.org/ovn:1@sha256:{digest(b'image')}", tmp_path / "small"
    folder.mkdir()
    body = f"artifact_from_image {image} /usr/bin/ovnkube {folder}/ovnkube 0755\n"
    small = f"mount -t tmpfs -o size=64k none {folder} && echo old >{folder}/ovnkube &&"
    said = containerd(body, f"{small} trap 'cat {folder}/ovnkube' EXIT;")
    assert said.statuses == ["failed"]
    assert "No space left" in said.steps[0].output
    assert said.stderr == "old\n"
    assert not list((tmp_path / "ctr" / "ovn-runbooks").iterdir())


def test_without_containerd_it_is_said(place: Run, tmp_path: Path) -> None:
    """A dry run would import, once containerd is there; a run fails and names what is missing."""
    image = f"example.org/ovn:1@sha256:{digest(b'image')}"
    body = f"artifact_from_image {image} /usr/bin/x {tmp_path}/x 0755\n"
    assert place(body, dry_run=True).statuses == ["would-change"]
    said = place(body)
    assert (said.statuses, said.steps[0].message) == (["failed"], "ctr is not installed")
