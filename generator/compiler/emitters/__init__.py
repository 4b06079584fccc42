"""One module for each kind of artifact.

Its `emit(account)` yields nothing if the site does not need the artifact.
"""
