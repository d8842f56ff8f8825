"""Imported first by the process that forks workers: an interrupt on the terminal is for the launcher and the workers alone.

Python ignores interrupts there only after everything else was imported, which takes seconds with torch. The process starts with interrupts blocked, since importing Python's own modules takes time too.
"""

import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
