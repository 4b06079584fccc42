"""Write a report as text: each format is a pure function, and none reads a file or decides anything."""
