"""Changes as text: every format is a pure function of the list of changes."""
