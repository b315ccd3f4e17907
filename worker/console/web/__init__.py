"""One request of a browser: whether it is forged, who asks, what he asked for, and the answer."""
