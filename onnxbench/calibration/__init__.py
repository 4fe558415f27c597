"""What a runtime attains on this machine, measured through the runtime itself.

`cases` are small networks of known work; the ordinary machinery measures them; `results` makes
ceilings of the records, `files` keeps them, and `bounds` compares other records with them.
"""
