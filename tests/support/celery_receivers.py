"""Receivers that Celery's workers execute."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from rowhooks import JobHookReceiver, ObjectChange, register_jobs


class Marks(JobHookReceiver):
    """Marks its row each time that it is executed."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        changed_object.serial = f"{changed_object.serial or ''}x"
        changed_object.save()
        return os.getpid()


class Waits(JobHookReceiver):
    """Marks its row, and waits for the file that the test makes."""

    class Meta:
        time_limit = 0

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.logger.info("entered in %d", os.getpid())
        changed_object.serial = f"{changed_object.serial or ''}x"
        changed_object.save()
        released = Path(os.environ["RELEASED"])
        while not released.exists():
            time.sleep(0.01)
        return os.getpid()


register_jobs(Marks, Waits)
