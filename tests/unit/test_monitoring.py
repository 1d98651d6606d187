"""The alert rules and the dashboard: they parse, and ask for metrics that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from rowhooks.domain.events import BacklogCounted, RunFailed, RunLost
from rowhooks.domain.run import Outcome
from rowhooks.observability.metrics import registry
from tests.support.health import BACKLOG, RUN, leading

CHECKOUT = Path(__file__).parents[2]
RULES = CHECKOUT / "contrib" / "prometheus" / "rules.yaml"
DASHBOARD = CHECKOUT / "contrib" / "grafana" / "rowhooks.json"


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return read


def expressions() -> Iterator[Any]:
    for rule in rules():
        yield pytest.param(rule["expr"], id=rule["alert"])
    for panel in panels():
        for target in panel["targets"]:
            yield pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")


def there_are() -> set[str]:
    """Return the names of the samples that Prometheus stores."""
    daemon = leading()
    daemon.end_run("SUCCESS", 1.0)
    daemon.events.publish(RunFailed(Outcome(RUN, "RETRY", None, exception_type="ValueError")))
    daemon.events.publish(RunLost(RUN, "killed", is_last=False))
    daemon.events.publish(BacklogCounted(replace(BACKLOG, missing={"acme.Gone": 3})))
    return {sample.name for family in registry(daemon.health, daemon.counters).collect() for sample in family.samples}


@pytest.mark.parametrize("expression", list(expressions()))
def test_each_expression_parses_and_asks_for_what_there_is(expression: str) -> None:
    # Grafana's variables, as it would fill them in.
    expression = expression.replace("$__rate_interval", "5m").replace("$instance", ".*")
    assert promql_parser.parse(expression) is not None
    asked = set(re.findall(r"\b(?:rowhooks|process)_\w+", expression))
    # Of Prometheus itself there is whether it answers.
    assert asked or re.search(r"\bup\b", expression)
    assert asked <= there_are()


def test_a_metric_that_does_not_parse_is_found() -> None:
    with pytest.raises(ValueError, match="unexpected character"):
        promql_parser.parse("rate(rowhooks_runs_total[5m)")


def test_each_alert_has_a_severity_and_says_what_is_wrong_and_is_in_the_docs() -> None:
    page = (CHECKOUT / "docs" / "monitoring.md").read_text("utf-8")
    for rule in rules():
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert rule["annotations"]["summary"]
        assert f"`{rule['alert']}`" in page


def test_each_metric_is_in_the_docs() -> None:
    page = (CHECKOUT / "docs" / "monitoring.md").read_text("utf-8")
    documented = set(re.findall(r"`(rowhooks_\w+)[`{]", page))
    families = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in there_are()}
    assert {name for name in families if name.startswith("rowhooks_")} == documented


@pytest.mark.skipif(shutil.which("promtool") is None, reason="there is no promtool")
def test_promtool_takes_the_rules() -> None:
    done = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_two_panels_share_an_id_or_overlap() -> None:
    all_panels = panels()
    assert len({panel["id"] for panel in all_panels}) == len(all_panels)
    taken: set[tuple[int, int]] = set()
    for panel in all_panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells
