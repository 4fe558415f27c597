"""Commands: thin. Parse, call, print; every import that costs time is inside a command's body.

No module here uses postponed annotations: typer would have to evaluate them at start-up.
"""
