"""Real fine-tunes of a miniature, and the ways in which a copy of one is disguised."""
