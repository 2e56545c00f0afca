"""`edgecam web`: the password and the tokens of programs."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest
from command_line import Edgecam, command_line

from edgecam.web.passwords import LONGEST, SHORTEST, is_password
from edgecam.web.tokens import Tokens

pytestmark = pytest.mark.any_runtime
PASSWORD = "correct horse"  # noqa: S105


@pytest.fixture
def web(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, config: Path) -> Edgecam:
    monkeypatch.setenv("EDGECAM_CONFIG", str(config))
    return command_line(capsys, "web")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose password is in the file "password" beside it."""
    path = tmp_path / "edgecam.toml"
    path.write_text("data_dir = '.'\n[web]\npassword_file = 'password'\n")
    return path


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))


@pytest.mark.usefixtures("typed")
class TestPassword:
    def test_its_hash_is_written_and_nobody_else_may_read_it(self, web: Edgecam, tmp_path: Path) -> None:
        done = web("password")
        file = tmp_path / "password"
        assert (done.code, done.out) == (0, "")
        assert f"written to {file}" in done.err
        assert is_password(PASSWORD, file.read_text().strip())
        assert not is_password("another", file.read_text().strip())
        assert file.stat().st_mode & 0o777 == 0o640
        assert PASSWORD not in file.read_text() + done.err
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    def test_a_file_that_is_there_keeps_its_mode(self, web: Edgecam, tmp_path: Path) -> None:
        file = tmp_path / "password"
        file.write_text("before")
        file.chmod(0o604)
        assert web("password").code == 0
        assert file.stat().st_mode & 0o777 == 0o600, "but for what everybody might do"

    def test_without_a_file_it_is_printed(self, web: Edgecam, config: Path) -> None:
        config.write_text("data_dir = '.'\n")
        done = web("password")
        assert is_password(PASSWORD, done.out.strip())
        assert "edgecam.web-password" in done.err

    def test_it_is_printed_on_demand_without_a_configuration(self, web: Edgecam, config: Path) -> None:
        config.unlink()
        assert is_password(PASSWORD, web("password", "--print").out.strip())

    def test_where_it_cannot_be_written(self, web: Edgecam, config: Path) -> None:
        config.write_text("data_dir = '.'\n[web]\npassword_file = 'nowhere/password'\n")
        done = web("password")
        assert (done.code, done.out) == (78, "")
        assert "No such file or directory: run this as the user who may write it" in done.err


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("\n", "no password on stdin"),
        ("", "no password on stdin"),
        ("x" * (SHORTEST - 1), "7 characters: allowed are"),
        ("x" * (LONGEST + 1), "allowed are"),
    ],
)
def test_what_is_no_password(web: Edgecam, monkeypatch: pytest.MonkeyPatch, line: str, complaint: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(line))
    done = web("password")
    assert (done.code, done.out) == (1, "")
    assert complaint in done.err


class TestTokens:
    def test_one_is_made_listed_and_revoked(self, web: Edgecam, tmp_path: Path) -> None:
        made = web("token", "home-assistant").out.strip()
        eyes = web("token", "eyes", "--read-only", "--json").document
        assert eyes["read_only"] is True
        kept = Tokens(tmp_path / "web-tokens.json")
        assert {text: (found := kept.find(text)) and found.name for text in (made, eyes["token"], "x")} == {
            made: "home-assistant", eyes["token"]: "eyes", "x": None,
        }  # fmt: skip
        assert "home-assistant" in web("tokens").out
        listed = web("tokens", "--json")
        assert [(each["name"], each["read_only"]) for each in listed.document] == [
            ("home-assistant", False), ("eyes", True),
        ]  # fmt: skip
        assert "sha256" not in listed.out
        assert web("revoke", "home-assistant").code == 0
        assert kept.find(made) is None
        assert kept.find(eyes["token"])

    def test_without_any(self, web: Edgecam) -> None:
        assert web("tokens", "--json").document == []
        done = web("revoke", "nobody")
        assert (done.code, done.err) == (1, "edgecam: no token 'nobody': there is no token\n")

    def test_names_are_plain_and_each_has_one(self, web: Edgecam) -> None:
        assert "allowed are up to 64 letters" in web("token", "a/b").err
        assert web("token", "ha").code == 0
        assert "there is a token 'ha'" in web("token", "ha").err

    def test_a_file_that_holds_none(self, web: Edgecam, tmp_path: Path) -> None:
        (tmp_path / "web-tokens.json").write_text('{"tokens": [{"name": 1}]}')
        done = web("token", "ha")
        assert done.code == 78
        assert "holds no tokens" in done.err

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who may give files away")
    def test_what_root_makes_is_whose_the_folder_is(self, web: Edgecam, tmp_path: Path) -> None:
        os.chown(tmp_path, 12345, 12346)
        assert web("token", "ha").code == 0
        found = (tmp_path / "web-tokens.json").stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (12345, 12346, 0o600)
