"""Rounds: who is scored together, with which prompts, and what is published of it."""
