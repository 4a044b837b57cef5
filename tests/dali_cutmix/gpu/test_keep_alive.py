"""Memory that a GPU still reads is held until it has; no GPU is needed to show it."""

import weakref

from dali_cutmix.gpu.keep_alive import MOST_AHEAD, KeepAlive


class Memory:
    pass


class Event:
    """Happens when it is told to, or when the host waits for it; then the memory must still be there."""

    def __init__(self, memory):
        self.memory, self.done, self.was_held = weakref.ref(memory), False, None

    def query(self):
        return self.done

    def synchronize(self):
        self.was_held = self.memory() is not None
        self.done = True


def hold(keep_alive):
    memory = Memory()
    event = Event(memory)
    keep_alive.hold(memory, event)
    return event


def test_memory_is_held_until_its_event_has_happened():
    keep_alive = KeepAlive()
    events = [hold(keep_alive) for _ in range(3)]
    assert all(event.memory() for event in events)
    events[0].done = events[1].done = True
    hold(keep_alive)
    assert [event.memory() is not None for event in events] == [False, False, True]


def test_the_host_waits_for_the_first_of_too_many_and_its_memory_is_there_meanwhile():
    keep_alive = KeepAlive()
    events = [hold(keep_alive) for _ in range(MOST_AHEAD + 3)]
    assert [event.was_held for event in events] == [True] * 3 + [None] * MOST_AHEAD
    assert [event.memory() is not None for event in events] == [False] * 3 + [True] * MOST_AHEAD
    assert len(keep_alive) == MOST_AHEAD
