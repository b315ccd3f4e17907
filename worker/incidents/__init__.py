"""One incident, one page: the first line of a kind pages, the others are counted."""
