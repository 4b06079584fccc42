"""Changes and findings as text: every format is a pure function, and none reads or decides anything."""
