"""Say what a change of a spec means for the people who log in."""
