"""The hub: a static site made from a release folder and the texts under content/.

It imports nothing of ours, so that it stays what any other hub could be: a reader of published
files.
"""
