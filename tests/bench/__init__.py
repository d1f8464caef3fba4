"""How fast, how cheap, how close to the limit: `make bench`, `make pace`, `make growth`. No thresholds here."""
