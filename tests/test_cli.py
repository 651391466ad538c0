from __future__ import annotations

import json

import pytest

from regrow.cli import COMMANDS, main


def test_config_prints_what_the_dag_would_write(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "params/smoke.yaml"]) == 0
    listed = capsys.readouterr().out.split()
    assert "target/mango_s1" in listed
    assert main(["config", "params/smoke.yaml", "target/mango_s1"]) == 0
    assert json.loads(capsys.readouterr().out)["init"] == "grow/mango_s1"
    assert main(["config", "params/smoke.yaml", "target/mangoes"]) == 2


def test_help_lists_every_commands_module(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["--help"])
    assert done.value.code == 0
    text = capsys.readouterr().out
    names = (
        "data",
        "run",
        "grow",
        "config",
        "report",
        "readme",
        "compare",
        "plan",
        "piece",
        "verify",
        "explain",
        "unlock",
    )
    assert all(f"\n    {name} " in text for name in names)
    assert len({module.__name__ for module in COMMANDS}) == len(COMMANDS)


def test_a_command_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["pretrain", "config.json"])
    assert done.value.code == 2
    assert "invalid choice: 'pretrain'" in capsys.readouterr().err
