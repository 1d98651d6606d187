"""The receivers of the example."""

from typing import Any

from rowhooks import JobHookReceiver, ObjectChange, register_jobs


class Greeting(JobHookReceiver):
    """Says what has changed."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> str:
        self.logger.info("%s: %s", action, change.object_repr)
        return action


register_jobs(Greeting)
