"""A scripted model: speaks the providers' APIs and does an agent's work by the book.

Read `script.py` first (what the model does), then `session.py` (how it knows where it stands),
then one of `dialects/`.
"""
