"""One view, which defers in the transaction of Django's own connection."""

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.urls import path

from shop.tasks import send_receipt


def order(_: HttpRequest, name: str) -> JsonResponse:
    with transaction.atomic():  # also stores the order, so that there is no job without an order
        job = send_receipt.defer(order=name)
    return JsonResponse({"job": job})


urlpatterns = [path("orders/<name>", order)]
