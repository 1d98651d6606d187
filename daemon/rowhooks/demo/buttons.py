# ruff: noqa: D102, D106  (the base class documents both)
"""The demo's job button, which the console shows on devices."""

from __future__ import annotations

import time
from typing import Any

from rowhooks import JobButtonReceiver, register_jobs

STEPS = ("link is up", "configuration is in place", "monitoring answers")


class Activate(JobButtonReceiver):
    """Check a device, step by step, and set it active."""

    class Meta:
        name = "Activate"

    def receive_job_button(self, obj: Any) -> str:
        for step in STEPS:
            # A check takes its time, and its line appears at once on the run's page.
            time.sleep(1)
            self.logger.info("%s: %s", obj.name, step, extra={"object": obj})
        obj.status = "active"
        obj.save()
        self.logger.success("%s is active", obj.name, extra={"object": obj})
        return "active"


register_jobs(Activate)
