"""What `check` finds beyond what keeps a connector from being built: a module for each topic.

A module defines its rules and a function ``check(configuration)`` that yields what breaks them. The catalogue
discovers both, so that a new rule is a new module, or a few lines in one.
"""
