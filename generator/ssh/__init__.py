"""All that is known of OpenSSH: its programs, its configuration files, keys and certificates."""
