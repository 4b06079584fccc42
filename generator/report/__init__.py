"""Write a report as text. Each format is a function that reads no file and decides nothing."""
