"""`doctor`: what is wrong with a live server, host by host.

A check is a module with one function, ``run(context)``, that yields results, and a line in `runner.CHECKS`.
"""
