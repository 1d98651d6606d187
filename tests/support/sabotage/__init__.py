"""Takes each mechanism of docs/guarantees.md and docs/security.md away, and sees that the test beside it fails then.

    python -m tests.support.sabotage [WORD..]    all of them, or those whose promise or mechanism has one of these words

A mechanism is taken away by symbol in the interpreters of a test run, also those that the tests start: `startup` is on
their path, and its sitecustomize applies what the environment names.
"""

from __future__ import annotations

from tests.support.sabotage.console import CONSOLE_DOORS
from tests.support.sabotage.guarantees import SABOTAGES
from tests.support.sabotage.mechanism import Sabotage
from tests.support.sabotage.security import CLOSED_DOORS

EVERYTHING: list[Sabotage] = [*SABOTAGES, *CLOSED_DOORS, *CONSOLE_DOORS]
VARIABLE = "ROWHOOKS_TEST_SABOTAGE"
"""Names the mechanism that is taken away."""
