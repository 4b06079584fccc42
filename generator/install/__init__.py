"""Install sites in the home directory, and uninstall them: ssh configuration, timers, records."""
