"""Repositories that want more than a build: their code runs in the sandbox, what follows it does not."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest
from workshop import HAVE_BUBBLEWRAP, Member, built, new

from members.adapters.oci_layout import unpacked_path
from members.core.model import BuildBroken, BuildFailed
from members.hub import layer

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not HAVE_BUBBLEWRAP, reason="there is nothing to leave without a sandbox"),
]


async def test_scripts_and_links_left_in_bin_lead_nobody_out(
    safe: Member, image: str, tmp_path: Path
) -> None:
    """The member rewrites scripts after postBuild: not through links, and not those of gigabytes."""
    outside = tmp_path / "outside"
    script = (
        'cd "$VIRTUAL_ENV/bin"\n'
        'printf "#!%s/bin/python\\nprint(1)\\n" "$VIRTUAL_ENV" > tool; chmod +x tool\n'
        f"ln -s {outside} tool.new\n"
        "truncate -s 1000000000 large\n"
    )
    await built(safe.builder(), new(safe, image, {"postBuild": script}), image)
    assert not outside.exists()
    assert safe.run(image, "tool") == "1"


async def test_a_bin_that_became_a_link_is_left_alone(safe: Member, image: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("#!/srv/binder/env/bin/python\n")
    script = f'mv "$VIRTUAL_ENV/bin" "$VIRTUAL_ENV/moved" && ln -s {tmp_path} "$VIRTUAL_ENV/bin"\n'
    await built(safe.builder(), new(safe, image, {"postBuild": script}), image)
    assert victim.read_text() == "#!/srv/binder/env/bin/python\n"


async def test_links_left_in_tmp_lead_nobody_out(safe: Member, image: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    script = f'ln -s {victim} /tmp/compile; echo "a = 1" > "$VIRTUAL_ENV/lib/new.py"\n'
    await built(safe.builder(), new(safe, image, {"postBuild": script}), image)
    assert victim.read_text() == "precious"
    assert list((unpacked_path(safe.state, image) / "env/lib/__pycache__").glob("new.*.pyc"))


async def test_a_pipe_for_pyvenv_cfg_holds_nobody_up(safe: Member, image: str) -> None:
    script = 'cd "$VIRTUAL_ENV"; rm pyvenv.cfg && mkfifo pyvenv.cfg; echo "a = 1" > lib/new.py\n'
    await built(safe.builder(), new(safe, image, {"postBuild": script}), image)


async def test_no_session_is_given_the_file_that_pyvenv_cfg_links_to(
    safe: Member, image: str, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("home = of secrets")
    script = f'ln -sf {tmp_path}/secret "$VIRTUAL_ENV/pyvenv.cfg"\n'
    await built(safe.builder(), new(safe, image, {"postBuild": script}), image)
    env = unpacked_path(safe.state, image) / "env"
    with pytest.raises(layer.NoEnvironment):
        layer.create(tmp_path / "layer", env, seen_layer=tmp_path / "layer", seen_environment=env)
    assert not (tmp_path / "layer").exists()


async def test_a_package_from_wheels_runs_no_code_in_the_build(safe: Member, image: str) -> None:
    """The environment consists of hard links to the base then: its code could change every other image."""
    wheels = safe.root / "wheels"
    with zipfile.ZipFile(wheels / "pthwheel-1.0-py3-none-any.whl", "w") as archive:
        info = "pthwheel-1.0.dist-info"
        code = 'import sys; open(sys.prefix + "/lib/python{}.{}/site-packages/uri_template/py.typed"'
        archive.writestr("pthwheel.pth", code + '.format(*sys.version_info[:2]), "a").write("harmed")\n')
        archive.writestr("pthwheel.py", "")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: pthwheel\nVersion: 1.0\n")
        tags = "Generator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\n{tags}")
        archive.writestr(
            f"{info}/RECORD", f"pthwheel.pth,,\npthwheel.py,,\n{info}/METADATA,,\n{info}/RECORD,,\n"
        )
    await built(safe.builder(), new(safe, image, {"requirements.txt": "pthwheel\n"}), image)
    bases = (safe.root / "store" / "unpacked").glob("binder-federation-base-*")
    marks = [mark for base in bases for mark in base.glob("env/lib/*/site-packages/uri_template/py.typed")]
    assert marks
    assert not any("harmed" in mark.read_text() for mark in marks)
    assert list((unpacked_path(safe.state, image) / "env").glob("lib/*/site-packages/__pycache__/pthwheel.*"))


@pytest.mark.skipif(shutil.which("ssh") is None, reason="git needs ssh for this")
async def test_ssh_settings_of_a_repository_run_nothing_beside_the_shared_cache(
    safe: Member, image: str
) -> None:
    owned = safe.root / "cache" / "uv" / "owned"
    files = {
        ".ssh/config": "Host *\n  ProxyCommand sh -c 'echo owned > /srv/binder/cache/owned'\n",
        "requirements.txt": "evil @ git+ssh://git@git.invalid/evil\n",
    }
    with pytest.raises((BuildFailed, BuildBroken)):
        await built(safe.builder(), new(safe, image, files), image)
    assert not owned.exists()
