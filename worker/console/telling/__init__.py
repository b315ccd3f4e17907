"""How things are told: words in two languages, times in the viewer's zone, curves, advice."""
