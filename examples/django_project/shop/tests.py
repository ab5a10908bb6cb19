"""The project's tests, in a test database on the same server."""

from django.test import TransactionTestCase
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob


class Orders(TransactionTestCase):
    def test_order_sends_its_receipt(self) -> None:
        self.client.get("/orders/book")
        assert [job.args for job in ProcrastinateJob.objects.all()] == [{"order": "book"}]
        worker = app.with_connector(app.connector.get_worker_connector())
        worker.run_worker(wait=False, install_signal_handlers=False)
        assert [job.status for job in ProcrastinateJob.objects.all()] == ["succeeded"]
