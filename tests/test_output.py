"""What commands show of a training: bars, lines, and how long it will take."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Progress

from kinet.commands.output import A_DAY, TrainingProgress, say, show_table, training_progress


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def record(epoch):
    return {"epoch": epoch, "loss": 1.5, "map": 0.25, "p10": 0.1, "mr1": 3.0, "seconds": 30.0}


def work_on(progress, clock, epochs, first=1, validation=10.0):
    """Epochs of 40 batches of half a second, then validation: 30 seconds each."""
    for epoch in range(first, epochs + 1):
        for batch in range(1, 41):
            clock.now += 0.5
            progress.on_batch(epoch, batch, 40, 1.5)
        clock.now += validation
        progress.on_epoch(record(epoch), is_best=epoch == 1)


@pytest.fixture
def clock():
    return Clock()


def made(clock):
    console = Console(file=io.StringIO(), width=120)
    progress = Progress(console=console, get_time=clock, speed_estimate_period=A_DAY)
    return TrainingProgress(progress, 10), console.file


def test_the_time_left_is_that_of_all_epochs_with_their_validation(clock):
    progress, shown = made(clock)
    work_on(progress, clock, 4)
    # Six epochs of 30 seconds are left; the first two batches are not in the speed.
    lines = shown.getvalue().splitlines()
    assert lines[-1] == (
        "epoch   4/10  loss 1.5000  mAP 0.2500  P@10 0.1000  MR1 3.00  30.0 s  0:03:01 left"
    )
    assert lines[0].endswith("left  best")


def test_a_resumed_training_counts_only_what_it_did_itself(clock):
    progress, shown = made(clock)
    clock.now = 1e6
    work_on(progress, clock, 9, first=8)
    assert "0:00:31 left" in shown.getvalue().splitlines()[-1]


def test_nothing_is_left_of_a_training_that_is_done(clock):
    progress, shown = made(clock)
    work_on(progress, clock, 10)
    assert shown.getvalue().splitlines()[-1].endswith("30.0 s")


def test_both_bars_are_shown(capsys):
    with training_progress(2) as progress:
        for batch in range(1, 5):
            progress.on_batch(1, batch, 4, 0.5)
        progress.on_epoch(record(1), is_best=True)
    shown = capsys.readouterr().err
    assert "epoch 1/2" in shown
    assert "loss 0.5000" in shown
    assert "training" in shown
    assert "1/2 epochs" in shown


def test_before_the_first_batch_the_network_is_prepared(clock):
    progress, _ = made(clock)
    bar, whole = progress._progress.tasks
    assert (bar.visible, whole.visible) == (True, False)
    assert bar.description == "preparing the network"
    progress.close()
    assert not bar.visible
    progress.on_batch(1, 1, 40, 1.5)
    progress.close()
    assert bar.visible
    assert bar.description == "epoch 1/10"


def test_a_name_with_a_line_break_is_no_line_of_kinets(capsys):
    say("a.mp3\nkinet: all is well: damaged")
    assert capsys.readouterr().err == "a.mp3\\nkinet: all is well: damaged\n"
    show_table(["a"], [[1]], title="a\nb")
    assert capsys.readouterr().out.startswith("a\\nb")
