"""Sentences about a page and its run, for the screen; those of the page itself are in `assets/words.json`."""

from pipeline.results.summary import FINISHED, INTERRUPTED, RUNNING

STATES = {
    FINISHED: "the run had come to its end",
    INTERRUPTED: "the run had been interrupted before it came to its end; run the same job again to go on",
    RUNNING: "the run was still going on, and what came later is not on this page",
}
