"""The vendor's contract served on this machine, over a real similarity search in a drawn gallery.

It keeps its own copy of the error codes, the lifetimes and the rules for parameters, and of `endpoints` it imports the
reader of Locarno expressions alone, a grammar of both sides. That is on purpose: it is the other side of the contract,
and with shared tables one slip would pass on both sides.

numpy is needed here and nowhere else: the extra `sandbox`.
"""
