"""What `benchmarks/engine.py` measures, and against what."""
