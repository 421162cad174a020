"""What the evaluator notes down of a model's weights, so that copies can be told from fine-tunes.

`answers` asks a model fixed questions, `difference` writes down how its answers differ from those
of the base model. Who is a copy of whom is decided by the service.
"""
