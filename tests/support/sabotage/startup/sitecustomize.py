"""Python imports this before anything else: takes the mechanism away that the environment names."""

from __future__ import annotations

import os

from tests.support.sabotage import EVERYTHING, VARIABLE

if VARIABLE in os.environ:
    (sabotage,) = [one for one in EVERYTHING if one.mechanism == os.environ[VARIABLE]]
    sabotage.breakage.apply()
