"""`longwave campaign edit`, `apply`, `diff` and `show --toml` against the API of a running stack."""

from __future__ import annotations

import re
import stat
import sys
from pathlib import Path

import pytest

from tests.api.live import Live
from tests.cli.conftest import Terminal

INCOMPLETE = 'name = "To be written"\nsmart_sending_hours = 0\n'
SPRING = """key = "cli-spring"
name = "Spring"
smart_sending_hours = 0
[audience]
lists = ["people"]
[[messages]]
text = "Hi"
"""


def editor(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """An editor that does `script` with the `path` of the file."""
    program = folder / "editor"
    begin = f"#!{sys.executable}\nimport sys\nfrom pathlib import Path\npath = Path(sys.argv[1])"
    program.write_text(f"{begin}\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(program))


def file(folder: Path, text: str, name: str = "campaign.toml") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def kept_in(campaign: Terminal) -> Path:
    return Path(re.findall(r"What you wrote is in (\S+);", campaign.error)[0])


def test_an_incomplete_draft_is_edited_until_it_can_be_launched(
    stack: Live, campaign: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = campaign("create", file(tmp_path, INCOMPLETE))
    shown = campaign("show", made)
    assert "missing    audience: has no recipients: set lists" in shown
    assert "missing    messages: there is none" in shown
    assert "problem: audience: has no recipients" in campaign("review", made, code=1)
    campaign("launch", made, code=1)
    assert "not launched: audience: has no recipients" in campaign.error
    whole = INCOMPLETE + '[audience]\nlists = ["people"]\n[[messages]]\ntext = "Hi"\n'
    editor(tmp_path, monkeypatch, f"path.write_text({whole!r})")
    assert campaign("edit", made).splitlines() == [
        '+ audience.lists = "people"',
        '  + messages.0.text = "Hi"',
        f"{made} changed: draft",
    ]
    assert "missing" not in campaign("show", made)
    assert "can be launched" in campaign("review", made)
    editor(tmp_path, monkeypatch, "")
    assert campaign("edit", made) == f"{made} unchanged"
    new = file(tmp_path, campaign("show", made, "--toml").replace("Hi", "Ho"))
    assert '+ messages.0.text = "Ho"' in campaign("edit", made, "--file", new)


def test_what_was_typed_is_kept_if_somebody_else_was_first(
    stack: Live, campaign: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = campaign("create", file(tmp_path, INCOMPLETE))
    url, key = f"{stack.api.url}/v1/campaigns/{made}", stack.key
    script = f"""
from urllib.request import Request, urlopen
path.write_text(path.read_text().replace("To be written", "Mine"))
headers = {{"Authorization": "Bearer {key}", "Content-Type": "application/json"}}
urlopen(Request("{url}", b'{{"name": "Theirs"}}', headers, method="PUT"))
"""
    editor(tmp_path, monkeypatch, script)
    campaign("edit", made, code=1)
    assert "was changed by somebody else" in campaign.error
    kept = kept_in(campaign)
    assert 'name = "Mine"' in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stack.api.get(f"/v1/campaigns/{made}")["name"] == "Theirs"
    assert '- name = "Theirs"' in campaign("edit", made, "--file", str(kept))
    kept.unlink()


def test_what_was_typed_is_kept_if_it_is_wrong(
    stack: Live, campaign: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = campaign("create", file(tmp_path, INCOMPLETE))
    editor(tmp_path, monkeypatch, "path.write_text('colour = 1\\n' + path.read_text())")
    campaign("edit", made, code=1)
    assert "colour: unknown field" in campaign.error
    kept = kept_in(campaign)
    assert "colour = 1" in kept.read_text()
    kept.unlink()
    editor(tmp_path, monkeypatch, "sys.exit(3)")
    campaign("edit", made, code=1)
    assert "set VISUAL or EDITOR" in campaign.error


def test_files_are_applied_once_and_differences_end_with_1(stack: Live, campaign: Terminal, tmp_path: Path) -> None:
    one, two = file(tmp_path, SPRING), file(tmp_path, SPRING.replace("spring", "autumn"), "two.toml")
    assert "added" in campaign("diff", one, code=1)
    campaign("apply", one, two, "--dry-run")
    assert "--dry-run" in campaign.error
    assert "added" in campaign("apply", one, two)
    assert "same" in campaign("apply", one, two)
    assert "same" in campaign("diff", one)
    file(tmp_path, SPRING.replace('"Hi"', '"Ho"'))
    differing = campaign("diff", one, code=1).splitlines()
    assert differing[1:] == ['  - messages.0.text = "Hi"', '  + messages.0.text = "Ho"']
    made = campaign.json("apply", one)[0]["id"]
    assert stack.api.get(f"/v1/campaigns/{made}")["spec"]["messages"][0]["text"] == "Ho"
    assert "same" in campaign("diff", file(tmp_path, campaign("show", made, "--toml"), "stored.toml"))
    copy = campaign("duplicate", made)
    assert "same" in campaign("apply", file(tmp_path, campaign("show", copy, "--toml"), "copy.toml"))


def test_what_was_launched_is_refused_and_then_nothing_is_done(
    stack: Live, campaign: Terminal, tmp_path: Path
) -> None:
    summer = SPRING.replace("spring", "summer")
    one, two = file(tmp_path, summer), file(tmp_path, summer.replace("summer", "winter"), "two.toml")
    made, _ = (answer["id"] for answer in campaign.json("apply", one, two))
    campaign("launch", made)
    assert "same" in campaign("apply", one)
    file(tmp_path, summer.replace('"Hi"', '"Too late"'))
    file(tmp_path, summer.replace("summer", "winter").replace('"Hi"', '"Not either"'), "two.toml")
    campaign("apply", two, one, code=1)
    assert "only a draft can be edited" in campaign.error
    assert '- messages.0.text = "Hi"' in campaign("diff", two, code=1), "nothing is done where a file is refused"
    assert '- messages.0.text = "Hi"' in campaign("diff", one, code=1)
    campaign("edit", made, "--file", one, code=1)
    assert "only a draft can be edited" in campaign.error


def test_files_that_cannot_be_applied_say_which_and_why(stack: Live, campaign: Terminal, tmp_path: Path) -> None:
    nameless, absent = file(tmp_path, INCOMPLETE), str(tmp_path / "none.toml")
    for words, code in ((("diff", absent), 2), (("diff", nameless), 2), (("apply", nameless), 1)):
        campaign(*words, code=code)
        assert words[1] in campaign.error
    assert "say which campaign this is" in campaign.error
    keyed = 'key = "cli-twice"\n' + INCOMPLETE
    campaign("apply", file(tmp_path, keyed, "a.toml"), file(tmp_path, keyed, "b.toml"), code=1)
    assert "names the same campaign as" in campaign.error
