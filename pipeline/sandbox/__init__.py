"""The vendor's contract served on this machine, over a real similarity search in a drawn gallery.

numpy is needed here and nowhere else: the extra `sandbox`.
"""
