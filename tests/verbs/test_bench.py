"""What `canceld bench` makes of its times: figures that do not flatter, and a picture that is true to them."""

import random
import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

from canceld import cli
from canceld.demo import stand
from canceld.verbs import bench
from canceld.verbs.bench_figures import QUANTILES, STAGES, Timed, durations, figures, maps, quantile, rows
from canceld.verbs.bench_picture import LEFT, RIGHT, STYLE, WIDTH, picture, told_us
from tests.test_house import HOUSE
from tests.verbs.test_help import PAGES

SVG = "{http://www.w3.org/2000/svg}"


def timed(number: int, *, arrived: bool = True, ended: bool = True) -> Timed:
    """A cancel whose stages take 10, 20, 30, 40 and 50 µs, and whose order ends after 200."""
    at = [number * 10**9 + us * 1000 for us in (0, 10, 30, 60, 100, 150, 200)]
    return Timed(
        *(f"O{number}", "acked", at[0], at[1], at[2], at[4], at[5]),
        arrived_ns=at[3] if arrived else None,
        ended_ns=at[6] if ended else None,
    )


def took(cancels: Sequence[Timed]) -> dict[str, list[float]]:
    return {stage.name: values for stage, values in durations(cancels).items()}


def test_the_stages_of_a_cancel_add_up_to_the_whole() -> None:
    told = took([timed(1), timed(2)])
    assert told == {
        "ipc": [10, 10], "queue": [20, 20], "send": [30, 30], "ack": [40, 40], "reply": [50, 50],
        "whole": [150, 150], "order event": [200, 200],
    }  # fmt: skip
    assert sum(told[name][0] for name in ("ipc", "queue", "send", "ack", "reply")) == told["whole"][0]


def test_a_venue_that_does_not_tell_when_it_had_the_request_is_told_when_it_was_settled() -> None:
    told = took([timed(1, arrived=False, ended=False)])
    assert told == {"ipc": [10], "queue": [20], "settle": [70], "reply": [50], "whole": [150]}


def test_a_clock_that_was_set_in_between_makes_no_negative_time() -> None:
    assert took([timed(1)._replace(arrived_ns=0)])["send"] == [0]


@pytest.mark.parametrize("seed", range(20))
def test_a_quantile_is_the_least_value_that_so_many_do_not_exceed(seed: int) -> None:
    rng = random.Random(seed)
    values = sorted(
        rng.choice((rng.random(), rng.randrange(5))) for _ in range(rng.choice((1, 2, 99, 100, 1000, 1001)))
    )
    for percent in QUANTILES:
        found = quantile(values, percent)
        enough = [
            value for value in values if sum(other <= value for other in values) * 1000 >= len(values) * percent * 10
        ]
        assert found == enough[0]


def test_a_quantile_that_would_be_the_maximum_under_another_name_is_not_told() -> None:
    assert [figures(range(count)).quantiles[99.9] for count in (1, 999, 1000)] == [None, None, 998]
    assert [figures(range(count)).quantiles[99.0] for count in (50, 99, 100)] == [None, None, 98]
    of = figures([7.0])
    assert (of.number, of.most, set(of.quantiles.values())) == (1, 7.0, {None})
    found = durations([timed(number) for number in range(100)])
    assert maps(found)["ipc"] == {
        "count": 100, "p50_us": 10, "p90_us": 10, "p99_us": 10, "p99.9_us": None, "max_us": 10
    }  # fmt: skip
    assert rows(found)[1] == ["ipc", "asked → the daemon has it", "100", "10", "10", "10", "-", "10"]


@pytest.mark.parametrize(
    ("value", "told"), [(0, "0 µs"), (84.4, "84 µs"), (999.4, "999 µs"), (1000, "1 ms"), (1236, "1.24 ms"),
    (999_900, "1 s"), (1_500_000, "1.5 s"), (45_600, "45.6 ms")],
)  # fmt: skip
def test_a_time_is_told_in_the_unit_that_a_person_would_take(value: float, told: str) -> None:
    assert told_us(value) == told


def test_the_picture_is_one_well_formed_image_with_every_stage_where_the_axis_has_it() -> None:
    rng = random.Random(7)
    found = {stage: [10 ** rng.gauss(2.5, 0.2) for _ in range(1000)] for stage in STAGES}
    found[STAGES[1]] = [0.0] * 1000
    drawn = picture("1,000 cancels <of mine> & yours", "note", found)
    image = ElementTree.fromstring(drawn)
    assert image.tag == f"{SVG}svg"
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", ""), "it fetches nothing"
    assert "prefers-color-scheme: dark" in drawn
    texts = [text.text or "" for text in image.iter(f"{SVG}text")]
    assert "1,000 cancels <of mine> & yours" in texts
    assert {stage.name for stage in STAGES} <= set(texts)
    assert "nothing: done in the step that began it" in texts
    axis = {
        text.text: float(text.attrib["x"]) for text in image.iter(f"{SVG}text") if text.get("text-anchor") == "middle"
    }
    assert axis["1 ms"] > axis["100 µs"]
    # The line of a p50 of about 316 µs stands half-way between 100 µs and 1 ms.
    middles = [float(line.attrib["x1"]) for line in image.iter(f"{SVG}line") if line.get("class") == "p50"][1:]
    half_way = (axis["100 µs"] + axis["1 ms"]) / 2
    assert len(middles) == len(STAGES) - 1
    assert all(abs(x - half_way) < 8 for x in middles)
    assert all(LEFT <= x <= WIDTH - RIGHT for x in axis.values())
    for path in image.iter(f"{SVG}path"):
        points = [tuple(map(float, point)) for point in re.findall(r"([\d.]+),([\d.]+)", path.attrib["d"])]
        top, _ = min(points, key=lambda point: point[1])
        assert abs(top - half_way) < 30, "most of them are where the axis has them"
        xs = [float(x) for x in re.findall(r"(-?[\d.]+),", path.attrib["d"])]
        assert (min(xs) >= LEFT, max(xs) <= WIDTH - RIGHT) == (True, True)


def test_the_picture_of_the_readme_is_one_of_these() -> None:
    file = PAGES / "bench.svg"
    image = ElementTree.fromstring(file.read_text())
    assert image[1].text == f"\n{STYLE}", "drawn by other code: `canceld bench --svg` makes it anew"
    assert f"(daemon/pages/{file.name})" in (HOUSE.parent / "README.md").read_text()


@pytest.mark.parametrize("values", [[0.0], [1.0], [0.2, 5e7], [1000.0] * 3])
def test_any_values_make_a_picture(values: list[float]) -> None:
    ElementTree.fromstring(picture("t", "n", {STAGES[0]: values}))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--count", "0"], "--count 0: expected 1..10000 at the simulated exchange"),
        (["--real", "--count", "501"], "--count 501: expected 1..500 at a real venue"),
        (["--real", "--gap-ms", "1"], "--gap-ms 1: expected 500..60000 at a real venue"),
        (["--gap-ms", "1x"], "expected a number"),
        (["--config", "x.toml"], "--config is for --real"),
        (["--svg", "/nowhere/x.svg"], "--svg /nowhere/x.svg: no such place"),
        (["binance"], "there is no 'binance'"),
        (["--real", "--config", "/nowhere/c.toml"], "/nowhere/c.toml"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_before_anything_is_started(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "_simulated", lambda asked: pytest.fail("it began"))
    try:
        status = cli.main(["bench", *arguments])
    except SystemExit as end:
        status = int(end.code or 0)
    told = capsys.readouterr()
    assert (status, told.out, told.err.count("\n")) == (2, "", 1)
    assert told.err.startswith("canceld: bench: ")
    assert says in told.err


def test_without_the_simulated_exchange_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "installed", lambda: False)
    assert cli.main(["bench"]) == 2
    assert capsys.readouterr().err == f"canceld: bench: {stand.NEEDS}\n"


def test_no_daemon_is_a_line_and_the_status_of_nobody_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "--real", "--endpoint", f"ipc://{tmp_path}/none.sock"]) == 3
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert "none.sock" in told.err
