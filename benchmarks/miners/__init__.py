"""A market of made-up miners, judged by the real rules of the competition."""
