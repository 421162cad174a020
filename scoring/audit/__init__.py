"""Carries a part of a published evaluation out again, for a validator that does not take it on
trust: ``python -m scoring.audit --request R.json --out DIR``."""
