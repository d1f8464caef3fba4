"""Sentences that every document for people holds."""

ADVICE = (
    "Not legal advice. This lists what a search found and what it did not look at; what a likeness means is for a "
    "person to judge."
)
SANDBOX = "These results come from the sandbox's drawn gallery, not from a patent database."
PRACTICE = "Sandbox: drawn designs, no patent database. "  # at the edge of each printed page
REHEARSAL = "A rehearsal on drawn designs: nothing here is about the products."
