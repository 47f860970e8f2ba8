"""A recording layer over the calls that decide what a folder has on the disk, for the order of these calls."""

import os


class Killed(BaseException):
    """What no code of the library catches."""


class Recorder:
    """Records each replace, remove and fsync as (name of the call, file name); stops at the event number `last`."""

    def __init__(self, monkeypatch, last=None):
        self.events, self.last = [], last
        for name in ("replace", "remove", "fsync"):
            monkeypatch.setattr(os, name, self.recorded(name, getattr(os, name)))

    def recorded(self, name, function):
        def record(*arguments):
            path = arguments[-1]
            if name == "fsync":
                path = os.readlink(f"/proc/self/fd/{path}")
            if name == "remove" and ".writing-" in str(path):
                return function(*arguments)
            if len(self.events) == self.last:
                raise Killed()
            self.events.append((name, os.path.basename(str(path))))
            return function(*arguments)

        return record
