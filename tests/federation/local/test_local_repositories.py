from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from federation.local.repositories import RepositoryError, publish


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "example"
    folder.mkdir()
    (folder / "a.txt").write_text("one\n")
    script = folder / "postBuild"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    return folder


def test_a_clone_has_the_files_and_the_executable_bit(source: Path, tmp_path: Path) -> None:
    commit = publish(source, tmp_path / "bare.git")
    git("clone", "--quiet", f"file://{tmp_path}/bare.git", str(tmp_path / "clone"))
    assert (tmp_path / "clone" / "a.txt").read_text() == "one\n"
    assert (tmp_path / "clone" / "postBuild").stat().st_mode & 0o111
    assert git("ls-remote", f"file://{tmp_path}/bare.git", "HEAD").split()[0] == commit


def test_the_same_files_are_the_same_commit_everywhere_and_are_not_committed_again(
    source: Path, tmp_path: Path
) -> None:
    first = publish(source, tmp_path / "one.git")
    assert publish(source, tmp_path / "two.git") == first
    objects = sorted((tmp_path / "one.git").rglob("*"))
    assert publish(source, tmp_path / "one.git") == first
    assert sorted((tmp_path / "one.git").rglob("*")) == objects


def test_a_changed_a_new_and_a_deleted_file_each_make_another_commit(source: Path, tmp_path: Path) -> None:
    seen = {publish(source, tmp_path / "bare.git")}
    (source / "a.txt").write_text("two\n")
    seen.add(publish(source, tmp_path / "bare.git"))
    (source / "b.txt").write_text("")
    seen.add(publish(source, tmp_path / "bare.git"))
    (source / "a.txt").unlink()
    seen.add(publish(source, tmp_path / "bare.git"))
    assert len(seen) == 4
    assert git("--git-dir", f"{tmp_path}/bare.git", "ls-tree", "--name-only", "main") == "b.txt\npostBuild"


def test_what_jupyter_and_python_leave_in_a_folder_is_not_part_of_it(source: Path, tmp_path: Path) -> None:
    clean = publish(source, tmp_path / "bare.git")
    (source / ".ipynb_checkpoints").mkdir()
    (source / ".ipynb_checkpoints" / "a.txt").write_text("x")
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "a.pyc").write_text("x")
    assert publish(source, tmp_path / "bare.git") == clean


def test_the_users_git_settings_change_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = publish(source, tmp_path / "one.git")
    (tmp_path / ".gitconfig").write_text(
        "[user]\nname = Somebody\n[commit]\ngpgsign = true\n[core]\nautocrlf = true\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert publish(source, tmp_path / "two.git") == plain


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="nothing-here"):
        publish(tmp_path / "nothing-here", tmp_path / "bare.git")
