"""orders.py: how PyTorch's sides of the bench take orders: one on each line of stdin, words
with blanks between; each is answered with one line that begins with "ok" or "no"."""

import sys


def serve(answer):
    """answer(words): the text of the answer; an exception is a "no"."""
    for line in sys.stdin:
        try:
            print("ok", answer(line.split()), flush=True)
        except Exception as fault:  # whatever it is, the other side must hear of it
            print("no", " ".join(str(fault).split()), flush=True)
