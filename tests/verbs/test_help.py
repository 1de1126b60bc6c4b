"""The pages that are shipped: every topic is one, and every page is a topic."""

import json
import re

import pytest

from canceld import cli
from canceld.verbs.help import TOPICS, page
from tests.test_house import HOUSE

PAGES = HOUSE / "pages"


def test_the_list_and_the_folder_have_the_same_topics() -> None:
    assert set(TOPICS) == {file.stem for file in PAGES.glob("*.md")}


@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_is_printed_as_it_is_written(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["help", topic]) == 0
    assert capsys.readouterr().out == page(topic) == (PAGES / f"{topic}.md").read_text()
    assert cli.main(["help", topic, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"topic": topic, "text": page(topic)}


def test_without_a_topic_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["help"]) == 0
    shown = capsys.readouterr().out
    for topic, about in TOPICS.items():
        assert f"  {topic:<9}  {about}" in shown
    assert cli.main(["help", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"topics": TOPICS}


def test_a_misspelt_topic_is_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["help", "leses"])
    assert end.value.code == 2
    assert "did you mean leases?" in capsys.readouterr().err


@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_fits_a_terminal_and_leads_to_pages_that_are_there(topic: str) -> None:
    lines = page(topic).splitlines()
    assert lines[0].startswith("# ")
    for line in lines:
        assert len(line) <= 120 or line.startswith(("|", "sudo ")), line
    for named in re.findall(r"`canceld help ([a-z]+)`", page(topic)):
        assert named in TOPICS
