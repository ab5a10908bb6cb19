"""`doctor`: what is wrong with a live server, host by host.

A check is a function of a `HostContext` that returns its result, or None, and a line in `runner.CHECKS`.
"""
