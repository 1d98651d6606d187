"""The receivers of the example."""

from typing import Any

from sqlalchemy import text

from rowhooks import JobHookReceiver, ObjectChange, register_jobs


class Price(JobHookReceiver):
    """Gives each new order the price of its item; its runs are in the queue of jobs that name none."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        statement = text("select price from shop.prices where item = :item")
        changed_object.price = self.session.scalar(statement, {"item": changed_object.item})
        changed_object.save()


class Report(JobHookReceiver):
    """Writes a report on each new order, which might take long; so it has a queue of its own."""

    class Meta:
        queue = "reports"

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.session.execute(
            text("insert into shop.reports (order_id, line) values (:id, :line)"),
            {"id": changed_object.id, "line": f"{changed_object.item} was ordered"},
        )


register_jobs(Price, Report)
