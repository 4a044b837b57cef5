"""Peers, Watch and Meeting in one process, with the ranks' store in memory. Real processes: test_lost_ranks.py."""

import os
import signal
import socket
import threading
import time
from contextlib import contextmanager
from datetime import timedelta

import pytest
import torch.distributed as dist

from train import __main__ as training
from train.engine import peers as peers_module
from train.engine import watch as watch_module
from train.engine.meeting import Meeting, is_broken_connection
from train.engine.peers import Activity, Missing, Peers, find_peers, in_words, name_ranks
from train.engine.watch import Watch


@pytest.fixture
def four():
    """Four ranks; each has given one heartbeat but the last."""
    store = dist.HashStore()
    ranks = [Peers(rank, 4, store) for rank in range(4)]
    for rank in ranks[:3]:
        rank.beat()
    return ranks


@contextmanager
def alive(*ranks):
    """Heartbeats of some ranks."""
    stopped = threading.Event()

    def beat():
        while not stopped.wait(0.01):
            for rank in ranks:
                rank.beat()

    thread = threading.Thread(target=beat)
    thread.start()
    yield
    stopped.set()
    thread.join()


def test_the_silent_the_late_and_those_that_never_came_are_told_apart(four):
    first, second, third, _ = four
    for rank in (first, third):
        rank.enter("in the forward pass of step 1", waits=True)
    second.enter("reading the batch of step 1")
    first.enter("in the backward pass of step 1", waits=True)
    third.beat()
    with alive(first, second):
        assert first.missing(within=0.1) == Missing(
            "rank 1 (still reading the batch of step 1), rank 2 (gone or stopped, last seen in the forward pass of "
            "step 1), rank 3 (not there yet)",
            alive=False,
        )


def test_a_rank_that_all_wait_with_is_not_missing(four):
    with alive(*four):
        for rank in four:
            rank.enter("in the backward pass of step 1", waits=True)
        time.sleep(0.05)
        assert four[0].missing(within=0.1) is None


def test_those_who_are_only_late_are_alive(four):
    with alive(*four):
        four[0].enter("in step 1", waits=True)
        time.sleep(0.05)
        assert four[0].missing(within=0.1) == Missing("ranks 1, 2 and 3 (still setting up)", alive=True)


def test_waiting_counts_even_after_it_is_over(four):
    """So that one who is through is not behind one who still waits."""
    first, second, *_ = four
    with first.waiting():
        assert first.activity.waits
        assert first.activity.doing == "setting up"
        with second.waiting():
            pass
        assert second.activity.number == first.activity.number
        assert not second.activity.waits


def test_why_a_rank_has_ended_is_known_to_the_others(four):
    assert not four[0].someone_ended()
    four[2].leave("the disk is full")
    assert all(rank.someone_ended() for rank in four)
    assert four[0].notes() == {2: "the disk is full"}
    with alive(*four):
        assert four[0].missing(within=0.1) == Missing("rank 2 (ended: the disk is full)", alive=False)


def test_one_rank_speaks(four):
    assert [rank.may_speak() for rank in (four[2], four[0], four[1])] == [True, False, False]
    assert Peers(0, 1, None).may_speak()


@pytest.mark.parametrize("answers", ["never", "no"])
def test_a_store_that_does_not_answer_keeps_nobody_waiting(monkeypatch, answers):
    monkeypatch.setattr(peers_module, "ANSWER", 0.2)

    class Store:
        def __getattr__(self, name):
            def ask(*_):
                if answers == "never":
                    time.sleep(2)
                raise RuntimeError("connection refused")

            return ask

    peers = Peers(1, 2, Store(), host="rank 0 at node:1")
    began = time.monotonic()
    peers.leave("the disk is full")
    assert peers.notes() == {}
    assert peers.may_speak()
    assert peers.missing(within=0.1) == Missing("rank 0 at node:1 (its store does not answer)", alive=False)
    assert time.monotonic() - began < 1.5


def test_ranks_are_named_up_to_ten():
    assert in_words({1: "not there yet", 3: "not there yet"}) == "ranks 1 and 3 (not there yet)"
    assert name_ranks([7]) == "rank 7"
    assert name_ranks([0, 1, 2]) == "ranks 0, 1 and 2"
    assert name_ranks(list(range(11))) == "ranks 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and others"
    assert in_words({rank: f"still in step {rank}" for rank in range(12)}).endswith(
        "rank 9 (still in step 9), and 2 more"
    )


def test_others_that_cannot_be_reached_are_told_with_their_address(monkeypatch):
    monkeypatch.setattr(peers_module, "MEETING", peers_module.timedelta(seconds=1))
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(OSError, match=r"rank 1 cannot meet the other 1 at 127\.0\.0\.1:1 \(.*\); check that all were"):
        find_peers()


class EndedError(Exception):
    """In place of the end of the process."""


@pytest.fixture
def watch(four, monkeypatch):
    """A watch over rank 0 whose end raises `EndedError`; ``watch(doing, waited, missing)`` lets it look."""

    def end(status):
        raise EndedError(status)

    monkeypatch.setattr(os, "_exit", end)
    watched = Watch(four[0], lambda: "continue so")

    def look(doing, waited, missing, terminated=None):
        monkeypatch.setattr(four[0], "missing", lambda within: missing)
        watched._ended = four[0].someone_ended()
        now = time.monotonic()
        four[0].activity = Activity(5, doing, True, now - waited)
        watched._terminated = None if terminated is None else now - terminated
        watched._look()

    look.thread = watched
    return look


@pytest.mark.parametrize(
    ("doing", "waited", "missing", "terminated"),
    [
        ("in the backward pass of step 2", 599, Missing("rank 1 (gone or stopped)", alive=False), None),
        ("in the backward pass of step 2", 700, None, None),  # a long step of all
        ("in the backward pass of step 2", 0.5, Missing("rank 1 (gone or stopped)", alive=False), 0.5),
        ("in the backward pass of step 2", 9, Missing("rank 1 (still reading)", alive=True), 100),
        ("in the backward pass of step 2", 100, Missing("rank 1 (still reading)", alive=True), 9),
        ("validating after step 2", 100, Missing("rank 1 (still reading)", alive=True), 100),
        ("saving after step 2", 100, Missing("rank 1 (still reading)", alive=True), 100),
        ("in the backward pass of step 2", 100, None, 100),
    ],
)
def test_a_rank_waits_on(watch, doing, waited, missing, terminated):
    watch(doing, waited, missing, terminated)


@pytest.mark.parametrize(
    ("doing", "waited", "missing", "terminated", "status", "said"),
    [
        (
            "in the backward pass of step 2",
            601,
            Missing("rank 1 (still reading)", alive=True),
            None,
            1,
            "error: waited 600 s (--timeout) in the ",
        ),
        (
            "validating after step 2",
            2,
            Missing("rank 1 (gone or stopped)", alive=False),
            2,
            143,
            "stopped by SIGTERM validating after step 2, ",
        ),
        (
            "in the backward pass of step 2",
            11,
            Missing("rank 1 (still reading)", alive=True),
            11,
            143,
            "stopped by SIGTERM in the backward pass of ",
        ),
    ],
)
def test_a_rank_that_waits_in_vain_ends(watch, capsys, doing, waited, missing, terminated, status, said):
    with pytest.raises(EndedError, match=str(status)):
        watch(doing, waited, missing, terminated)
    line = capsys.readouterr().err
    assert line.startswith(said)
    assert line.endswith(f" for {missing.who}; continue so\n")


def test_a_rank_ends_without_a_word_once_another_has(watch, four, capsys):
    four[1].leave("the disk is full")
    watch("saving after step 2", 0.1, None)  # first it ends what it does
    with pytest.raises(EndedError, match="1"):
        watch("saving after step 2", 1, None)
    assert capsys.readouterr().err == ""


def test_one_that_has_come_meanwhile_is_not_missing(watch, four, monkeypatch):
    watch("in the backward pass of step 2", 1, None)
    monkeypatch.setattr(
        four[0], "missing", lambda within: four[0].enter("reading") or Missing("rank 1 (still reading)", alive=True)
    )
    watch.thread.timeout = 0.5
    watch.thread._look()


def test_a_rank_that_leaves_waits_for_its_heartbeat(four, monkeypatch):
    """A thread that returns from the store into Python while the interpreter is torn down would abort the process."""
    monkeypatch.setattr(watch_module, "PULSE", 0.01)
    begun, ended = threading.Event(), threading.Event()

    def beat_slowly():
        begun.set()
        time.sleep(0.3)
        ended.set()

    monkeypatch.setattr(four[0], "beat", beat_slowly)
    watch = Watch(four[0], lambda: "")
    watch.start()
    assert begun.wait(10)
    watch.leave()
    assert ended.is_set()
    watch.join()


def test_ctrl_c_ends_a_rank_that_waits_for_the_others_to_start(monkeypatch):
    """It waits in C++, where no signal is handled."""
    monkeypatch.setattr(peers_module, "MEETING", timedelta(seconds=8))
    for name, value in {"RANK": 0, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}.items():
        monkeypatch.setenv(name, str(value))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    ctrl_c = threading.Timer(0.5, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
    began = time.monotonic()
    ctrl_c.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            find_peers()
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - began < 4


def test_ctrl_c_while_ranks_meet_ends_training_with_one_line(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("train.engine.meeting.find_peers", interrupted)
    with pytest.raises(SystemExit, match="130"):
        training.main()
    assert capsys.readouterr().err == "interrupted before training began\n"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_a_process_alone_has_no_watch():
    before = threading.active_count()
    with Meeting() as meeting:
        assert meeting.watch is None
        assert threading.active_count() == before


@pytest.mark.parametrize(
    ("error", "broken"),
    [
        (RuntimeError("[/gloo/transport/tcp/pair.cc:561] Connection closed by peer [127.0.0.1]:3984."), True),
        (dist.DistBackendError("NCCL error"), True),
        (RuntimeError("CUDA out of memory"), False),
        (ValueError("gloo"), False),
    ],
)
def test_a_broken_connection_is_told_from_other_errors(error, broken):
    assert is_broken_connection(error) == broken
