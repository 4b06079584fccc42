"""What goes into the home folder: the ssh configuration that is the user's own, units, and out of it again."""
