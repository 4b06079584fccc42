"""Specs that a centre publishes: an index of a directory of specs, signed with an ssh key.

Who publishes signs the index with `gen source sign`. Who uses the specs adds the source once, after
a look at the signer and the sites, and follows it with `gen source update`.
"""

MOST_DAYS = 400
"""A signature ends after so many days at most, so that a stolen index does not live for ever."""
