"""The material of the prompt stream and how a prompt is drawn from it.

``draws`` turns (seed, index, purpose) into choices, ``lines`` composes what is said,
``descriptions`` says how, and ``bank`` reads the JSON files that both choose from.
"""
