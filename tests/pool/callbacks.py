"""Sync and async callbacks, for options that name them in text."""

from __future__ import annotations

import functools

import psycopg

A_NUMBER = 3


async def asynchronous(_argument): ...


def plain(_argument): ...


async def no_argument(): ...


class AsyncCallable:
    async def __call__(self, _argument): ...


class Nested:
    @staticmethod
    async def asynchronous(_argument): ...


an_async_object = AsyncCallable()
an_async_partial = functools.partial(AsyncCallable.__call__, an_async_object)
a_plain_partial = functools.partial(lambda extra, argument: None, 1)


class AsyncConnection(psycopg.AsyncConnection): ...


class Connection(psycopg.Connection): ...
