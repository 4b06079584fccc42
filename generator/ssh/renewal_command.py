"""The shell command by which a site's ssh file renews the certificate before a connection.

gen writes it into a `Match exec`, and knows it again in the user's files.
"""

RENEWAL_COMMAND = "gen refresh $0 --on-connect"
"""`$0` is the site."""
