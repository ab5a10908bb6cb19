"""The project's tests, in a test database on the same server."""

from django.test import TransactionTestCase
from procrastinate.contrib.django.models import ProcrastinateJob


class Orders(TransactionTestCase):
    def test_order_defers_its_receipt(self) -> None:
        self.client.get("/orders/book")
        assert [job.args for job in ProcrastinateJob.objects.all()] == [{"order": "book"}]
