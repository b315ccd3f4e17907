"""Acts: what a person is about to do: planned first, confirmed, and carried out once."""
